// Answers Rank requests: checks them, admits them or refuses at once, and gives
// them to the workers.
//
//   auto admission = rank.Admit(request, context);
//   if (!admission.ok()) rank.Refuse(admission.status(), ...);
//   rank.Start(*std::move(admission), request, response, context,
//              [](absl::Status status, RequestSlot slot) {...});
//
// Thread-safe. Neither blocks.
#ifndef QLARANK_SERVER_RANK_RANK_PIPELINE_H_
#define QLARANK_SERVER_RANK_RANK_PIPELINE_H_

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "config/server_options.h"
#include "qlarank/v1/rank_service.pb.h"
#include "server/metrics/admission_metrics.h"
#include "server/metrics/metrics.h"
#include "server/rank/rank_call.h"
#include "server/rank/rank_models.h"
#include "server/rank/refusal_desk.h"
#include "server/request_log/request_log.h"
#include "server/work/fair_quota.h"
#include "server/work/tile_scheduler.h"

namespace qlarank {

class RankPipeline {
 public:
  // All must outlive the pipeline, and that every call. `slots` are the
  // requests that may be in flight. Without a place for copies nothing is logged,
  // or scored again. Of whom more than `max_replay_events` would have to be
  // folded is left to the version before, if that can answer (version_before.h).
  RankPipeline(RankModels& models, Partitions& partitions,
               TileScheduler& scheduler, FairQuota& slots, Metrics& metrics,
               const LimitsOptions& limits,
               const RankCall::Copies& copies = {},
               uint64_t max_replay_events =
                   MigrationOptions().max_replay_events)
      : models_(models),
        partitions_(partitions),
        scheduler_(scheduler),
        slots_(slots),
        metrics_(metrics),
        limits_(limits),
        copies_(copies),
        max_replay_events_(max_replay_events),
        admission_metrics_(metrics.registry),
        desk_(admission_metrics_.refusals_held) {}

  // What a request needs to be started.
  struct Admission {
    std::shared_ptr<const Registry> registry;
    RankModelPtr model;
    RequestSlot slot;
  };

  // Lets a request in, or refuses it and counts that. Refusing must cost next
  // to nothing: it is what is left to do in a flood. So it comes before the
  // request is looked at closely.
  //
  // NOT_FOUND           no such model
  // RESOURCE_EXHAUSTED  too many requests in flight, or by what tiles cost and
  //                     how many wait, the deadline cannot be met; with a hint
  //                     when to try again (server/work/overload.h)
  // DEADLINE_EXCEEDED   it has passed
  // CANCELLED           context.cancelled was set
  absl::StatusOr<Admission> Admit(const v1::RankRequest& request,
                                  const RankCall::Context& context);

  // Ends a request that was not let in: calls `end` with the status, once. What
  // is refused for too much work may have to wait for that (refusal_desk.h);
  // the hint then says what is left to wait. The request must live until then,
  // and takes so many bytes.
  void Refuse(absl::Status status, const RankCall::Context& context,
              size_t bytes, absl::AnyInvocable<void(absl::Status)> end);

  // Ranks the candidates of `request` into `response`; both, and the context's
  // cancel flag, must live until `done` is called, once: on a worker, or on
  // this thread for a request that turns out to be wrong.
  //
  // INVALID_ARGUMENT, FAILED_PRECONDITION: see RankService
  // DEADLINE_EXCEEDED   it passed, and no partial reply was wanted or possible
  // CANCELLED           context.cancelled was set
  void Start(Admission admission, const v1::RankRequest& request,
             v1::RankResponse& response, const RankCall::Context& context,
             RankCall::Done done);

  // Some context's flag was set: what it is about ends within a tile's time.
  void NoticeCancellation() { scheduler_.NoticeCancellation(); }

 private:
  // A request on its way; what is referred to lives until it is answered.
  struct Asked {
    const v1::RankRequest& request;
    v1::RankResponse& response;
    const RankCall::Context context;
    const std::shared_ptr<const Registry> registry;
  };

  // The call that answers by a model, not started. INVALID_ARGUMENT for what is
  // wrong with the request: slot and `done` are the caller's still.
  absl::StatusOr<std::shared_ptr<RankCall>> MakeCall(const Asked& asked,
                                                     const RankModelPtr& model,
                                                     RequestSlot& slot,
                                                     RankCall::Done& done);
  RankCall::ReplayBudget BudgetOf(const Asked& asked, const RankModel& model);
  // That of the version before, if it has the user's state; else null.
  std::shared_ptr<RankCall> CallBefore(const Asked& asked,
                                       const LoadedModelPtr& before,
                                       RequestSlot& slot, RankCall::Done& done);
  // A slot, if the deadline can be met by what tiles cost and how many wait.
  absl::StatusOr<RequestSlot> TakeSlot(const v1::RankRequest& request,
                                       const RankModel& model,
                                       const RankCall::Context& context);
  // By which the request is to be scored again; 0: by none.
  uint64_t ShadowVersion(const ModelLabels& labels, const RankModel& model,
                         const v1::RankRequest& request,
                         int64_t time_us) const;

  RankModels& models_;
  Partitions& partitions_;
  TileScheduler& scheduler_;
  FairQuota& slots_;
  Metrics& metrics_;
  const LimitsOptions limits_;
  const RankCall::Copies copies_;
  const uint64_t max_replay_events_;
  AdmissionMetrics admission_metrics_;
  RefusalDesk desk_;
};

}  // namespace qlarank

#endif  // QLARANK_SERVER_RANK_RANK_PIPELINE_H_
