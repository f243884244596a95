// Takes events into the log: validates them, gives each to the shard of its
// user, and answers when all of a request is durable.
//
//   ingest.Append(request, absl::Now(), caller,
//                 IngestPipeline::OnFull::kRefuse,
//                 [](absl::StatusOr<v1::AppendEventsResponse> response) {...});
//
// Thread-safe. Append and DeleteUser do not block; their callbacks run once,
// on the calling thread (a request refused at once) or on a writer's.
#ifndef QLARANK_SERVER_PIPELINE_INGEST_PIPELINE_H_
#define QLARANK_SERVER_PIPELINE_INGEST_PIPELINE_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "config/server_options.h"
#include "qlarank/v1/ingest_service.pb.h"
#include "server/ops/metrics.h"
#include "server/pipeline/admission_clock.h"
#include "server/pipeline/ingest_shard.h"
#include "server/pipeline/model_registry.h"
#include "server/pipeline/user_locks.h"
#include "state_store/state_store.h"

namespace qlarank {

class IngestPipeline {
 public:
  // What becomes of an append when a shard's queue is full.
  enum class OnFull {
    kRefuse,  // RESOURCE_EXHAUSTED
    kQueue,   // taken all the same: the caller holds back by itself, see full()
  };

  using Caller = AppendCall::Caller;
  using AppendDone = AppendCall::Done;
  using DeleteDone = IngestShard::EraseDone;

  // All of them must outlive the pipeline.
  IngestPipeline(StateStore& store, const ModelRegistry& models,
                 UserLocks& locks, Metrics& metrics,
                 const LimitsOptions& limits, const IngestOptions& options);
  // Commits what is queued and answers it, then stops.
  ~IngestPipeline();

  // Appends the events of `request`, which must live until `done` is called, as
  // must the caller's flag.
  // INVALID_ARGUMENT    names the first wrong field; nothing was appended
  // RESOURCE_EXHAUSTED  a queue is full (nothing was appended), or a user
  //                     would have too many sources
  // UNAVAILABLE         the log could not be written
  // DEADLINE_EXCEEDED, CANCELLED  nobody waits for it any more
  // After an error other than the first some of the request's users may have
  // their events: a retry counts those as duplicates.
  void Append(const v1::AppendEventsRequest& request, absl::Time now,
              const Caller& caller, OnFull on_full, AppendDone done);

  // Whether in some shard as much waits of the client as should.
  bool full(absl::string_view client) const;

  // OK while events are taken; UNAVAILABLE, and why, while the store takes no
  // writes.
  absl::Status CheckWritable() const { return store_.WriteFault(); }

  using ErasureOrder = IngestShard::ErasureOrder;

  // Erases a user: events, watermarks, and states under every model. Ordered
  // with the appends of that user. `done` gets the number of events removed.
  // INVALID_ARGUMENT for an impossible user_id, RESOURCE_EXHAUSTED when too
  // much waits.
  void DeleteUser(const std::string& user_id, ErasureOrder order,
                  DeleteDone done);

  // StateStore::TrimLog under every model's fingerprint, ordered likewise.
  void TrimLog(const std::string& user_id, uint64_t first_kept,
               absl::AnyInvocable<void(absl::Status)> done);

 private:
  size_t ShardOf(absl::string_view user_id) const;
  absl::StatusOr<uint64_t> EraseNow(absl::string_view user_id,
                                    const ErasureOrder& order);

  StateStore& store_;
  const ModelRegistry& models_;
  UserLocks& locks_;
  Metrics& metrics_;
  const LimitsOptions limits_;
  AdmissionClock admission_clock_;
  std::vector<std::unique_ptr<IngestShard>> shards_;
};

}  // namespace qlarank

#endif  // QLARANK_SERVER_PIPELINE_INGEST_PIPELINE_H_
