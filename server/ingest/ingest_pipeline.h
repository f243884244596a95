// Takes events into the log: validates them, gives each to the owner of its
// user, and answers when all that was taken of a request is durable.
//
//   ingest.Append(request, absl::Now(), caller,
//                 IngestPipeline::OnFull::kRefuse,
//                 [](AppendResult result) {...});
//
// Thread-safe. Append and DeleteUser do not block; their callbacks run once,
// on the calling thread (a request refused at once) or on a writer's.
#ifndef QLARANK_SERVER_INGEST_INGEST_PIPELINE_H_
#define QLARANK_SERVER_INGEST_INGEST_PIPELINE_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "config/server_options.h"
#include "qlarank/v1/ingest_service.pb.h"
#include "server/ingest/admission_clock.h"
#include "server/ingest/ingest_admission.h"
#include "server/metrics/metrics.h"
#include "server/models/model_registry.h"
#include "server/partition/gap_fence.h"
#include "server/partition/owner.h"
#include "server/partition/partitions.h"
#include "server/partition/source_marks.h"
#include "server/work/fair_quota.h"
#include "state_store/state_store.h"

namespace qlarank {

class IngestPipeline {
 public:
  // What becomes of an append when a partition's queue is full.
  enum class OnFull {
    kRefuse,  // RESOURCE_EXHAUSTED
    kWait,    // until there is room: the caller appends no more meanwhile
  };

  using Caller = AppendCall::Caller;
  using AppendDone = AppendCall::Done;
  using DeleteDone = Owner::EraseDone;
  using MarkDone = absl::AnyInvocable<void(absl::StatusOr<SourceMark>)>;

  // All of them must outlive the pipeline.
  IngestPipeline(StateStore& store, const ModelRegistry& models,
                 Partitions& partitions, Metrics& metrics,
                 const LimitsOptions& limits, const IngestOptions& options);
  // Waits until what is queued is committed and answered.
  ~IngestPipeline();

  // Appends the events of `request`, which must live until `done` is called, as
  // must the caller's flag. Every event has an outcome of its own; one that is
  // refused holds back what follows it (gap_fence.h). `done` gets them, and the
  // status of the call that ingest_service.proto lists. A wrong source or too
  // many events refuse all of a request, without an outcome.
  //
  // `admitted` is called, before `done`, once the append is before the writers
  // or refused: at once but for OnFull::kWait.
  void Append(const v1::AppendEventsRequest& request, absl::Time now,
              const Caller& caller, OnFull on_full, AppendDone done,
              absl::AnyInvocable<void()> admitted = nullptr);

  // Whether in some partition as much waits of the client as should.
  bool full(absl::string_view client) const { return admission_.full(client); }
  // Calls `ready` once it is not full.
  void WhenRoom(absl::string_view client, absl::AnyInvocable<void()> ready) {
    admission_.WhenRoom(client, std::move(ready));
  }

  // Says that a source is complete through a sequence: everything up to it is a
  // duplicate from then on, or given up. After the appends that were admitted
  // before it. `done` gets the mark that holds, durably.
  // INVALID_ARGUMENT for an impossible source, mark or note; RESOURCE_EXHAUSTED
  // when too much waits; UNAVAILABLE when it cannot be written.
  void MarkSource(const std::string& source, SourceMark mark,
                  absl::string_view client, MarkDone done);
  // The mark of a source; complete_through is 0 when it has none. After
  // the marks made before. Errors as above.
  void GetSource(const std::string& source, absl::string_view client,
                 MarkDone done);

  // OK while events are taken; UNAVAILABLE, and why, while the store takes no
  // writes.
  absl::Status CheckWritable() const { return store_.WriteFault(); }

  using ErasureOrder = Owner::ErasureOrder;

  // Erases a user: events, watermarks, and states under every model. Ordered
  // with the appends of that user. `done` gets the number of events removed.
  // INVALID_ARGUMENT for an impossible user_id, RESOURCE_EXHAUSTED when too
  // much waits.
  void DeleteUser(const std::string& user_id, ErasureOrder order,
                  DeleteDone done);

 private:
  // What admission makes of a request.
  struct Sorted {
    std::vector<std::vector<uint32_t>> parts;  // events by owner
    std::vector<size_t> amounts;               // of them
    AppendTally refused;
  };

  // Append of a request whose events have features alone, or categories that
  // are wrong.
  void AppendFeatures(const v1::AppendEventsRequest& request,
                      std::shared_ptr<const Registry> registry, absl::Time now,
                      const Caller& caller, OnFull on_full, AppendDone done,
                      absl::AnyInvocable<void()> admitted);
  // Validates every event.
  Sorted Sort(const v1::AppendEventsRequest& request, const Registry& registry,
              absl::Time now, const absl::Status& wanted);
  // Puts events before the writers, for which there is room.
  void Queue(const v1::AppendEventsRequest& request,
             std::shared_ptr<const Registry> registry, absl::Time now,
             const Caller& caller, Sorted sorted, AppendDone done);
  // Refuses an event before any writer has seen it.
  void Refuse(const v1::AppendEventsRequest& request, uint32_t index,
              absl::Status status, AppendTally& refused);
  void RefuseParts(const v1::AppendEventsRequest& request, Sorted& sorted,
                   const absl::Status& status);
  // Runs `action`, if there is room.
  void DoForSource(const std::string& source, absl::string_view client,
                   MarkDone done,
                   absl::AnyInvocable<void(MarkDone)> action);

  StateStore& store_;
  const ModelRegistry& models_;
  Partitions& partitions_;
  Metrics& metrics_;
  const LimitsOptions limits_;
  AdmissionClock admission_clock_;
  IngestAdmission admission_;
  FairQuota source_calls_;  // MarkSource and GetSource that wait
};

}  // namespace qlarank

#endif  // QLARANK_SERVER_INGEST_INGEST_PIPELINE_H_
