// Answers GetUserState and GetUserSummary: what is remembered of a user under
// one model.
//
// Thread-safe. Start does not block: states are read, caught up and summarized
// on the scoring workers, between the tiles of Rank requests.
#ifndef QLARANK_SERVER_PIPELINE_STATE_PIPELINE_H_
#define QLARANK_SERVER_PIPELINE_STATE_PIPELINE_H_

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "config/server_options.h"
#include "qlarank/v1/state_service.pb.h"
#include "server/pipeline/model_registry.h"
#include "server/pipeline/tile_scheduler.h"

namespace qlarank {

class StatePipeline {
 public:
  using Done = absl::AnyInvocable<void(absl::Status)>;

  // All must outlive the pipeline.
  StatePipeline(const ModelRegistry& models, TileScheduler& scheduler,
                const LimitsOptions& limits)
      : models_(models), scheduler_(scheduler), limits_(limits) {}

  // Describes the user's state into `response`; both must live until `done` is
  // called, once.
  // INVALID_ARGUMENT     user_id
  // NOT_FOUND            the model
  // FAILED_PRECONDITION  the log has fewer than min_event_count events
  // DEADLINE_EXCEEDED    it passed before the state was there
  void Start(const v1::GetUserStateRequest& request,
             v1::GetUserStateResponse& response, absl::Time now,
             absl::Time deadline, Done done);

  // The same for the user's summaries.
  // INVALID_ARGUMENT     also: encoding
  // FAILED_PRECONDITION  also: the model has no seeds
  void Start(const v1::GetUserSummaryRequest& request,
             v1::GetUserSummaryResponse& response, absl::Time now,
             absl::Time deadline, Done done);

 private:
  // The model that a request is about, once its user and model are checked.
  template <typename Request>
  absl::StatusOr<ServedModel*> ModelOf(const Request& request) const;

  const ModelRegistry& models_;
  TileScheduler& scheduler_;
  const LimitsOptions limits_;
};

}  // namespace qlarank

#endif  // QLARANK_SERVER_PIPELINE_STATE_PIPELINE_H_
