// Answers GetUserState and GetUserSummary: what is remembered of a user under
// one model.
//
// Thread-safe. Start does not block: states are read, caught up and summarized
// on the scoring workers, between the tiles of Rank requests.
#ifndef QLARANK_SERVER_RANK_STATE_PIPELINE_H_
#define QLARANK_SERVER_RANK_STATE_PIPELINE_H_

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "config/server_options.h"
#include "qlarank/v1/state_service.pb.h"
#include "server/metrics/metrics.h"
#include "server/rank/rank_call.h"
#include "server/rank/rank_models.h"
#include "server/work/fair_quota.h"
#include "server/work/tile_scheduler.h"

namespace qlarank {

class StatePipeline {
 public:
  using Context = RankCall::Context;
  using Done = RankCall::Done;

  // All must outlive the pipeline. `slots` are shared with Rank requests.
  StatePipeline(RankModels& models, Partitions& partitions,
                TileScheduler& scheduler, FairQuota& slots, Metrics& metrics,
                const LimitsOptions& limits)
      : models_(models),
        partitions_(partitions),
        scheduler_(scheduler),
        slots_(slots),
        metrics_(metrics),
        limits_(limits) {}

  // Describes the user's state into `response`; both, and the context's cancel
  // flag, must live until `done` is called, once.
  // INVALID_ARGUMENT     user_id
  // NOT_FOUND            the model
  // FAILED_PRECONDITION  the log has fewer than min_event_count events
  // RESOURCE_EXHAUSTED   too many requests in flight
  // DEADLINE_EXCEEDED    it passed before the state was there
  // CANCELLED            context.cancelled was set
  void Start(const v1::GetUserStateRequest& request,
             v1::GetUserStateResponse& response, const Context& context,
             Done done);

  // The same for the user's summaries.
  // INVALID_ARGUMENT     also: encoding
  // FAILED_PRECONDITION  also: the model has no seeds
  void Start(const v1::GetUserSummaryRequest& request,
             v1::GetUserSummaryResponse& response, const Context& context,
             Done done);

  // Some context's flag was set: what it is about ends within a tile's time.
  void NoticeCancellation() { scheduler_.NoticeCancellation(); }

 private:
  // The model that a request is about, once its user and model are checked.
  template <typename Request>
  absl::StatusOr<RankModelPtr> ModelOf(const Request& request) const;
  // Begins to read a state, from which `describe` writes the response, on a
  // worker and with its scratch.
  using Describe =
      absl::AnyInvocable<absl::Status(const UserMemory::Lookup&,
                                      EngineScratch&)>;
  void Read(RankModelPtr model, const std::string& user_id,
            uint64_t min_event_count, const Context& context, Describe describe,
            Done done);

  RankModels& models_;
  Partitions& partitions_;
  TileScheduler& scheduler_;
  FairQuota& slots_;
  Metrics& metrics_;
  const LimitsOptions limits_;
};

}  // namespace qlarank

#endif  // QLARANK_SERVER_RANK_STATE_PIPELINE_H_
