// Answers Rank requests: checks them, admits them or refuses at once, and gives
// them to the workers.
//
//   rank.Start(request, response, {absl::Now(), deadline, cancelled},
//              [](absl::Status status) {...});
//
// Thread-safe. Start does not block.
#ifndef QLARANK_SERVER_PIPELINE_RANK_PIPELINE_H_
#define QLARANK_SERVER_PIPELINE_RANK_PIPELINE_H_

#include <atomic>
#include <memory>

#include "absl/status/status.h"
#include "config/server_options.h"
#include "qlarank/v1/rank_service.pb.h"
#include "server/ops/metrics.h"
#include "server/pipeline/model_registry.h"
#include "server/pipeline/rank_call.h"
#include "server/pipeline/tile_scheduler.h"

namespace qlarank {

class RankPipeline {
 public:
  // All must outlive the pipeline, and that every call.
  RankPipeline(const ModelRegistry& models, TileScheduler& scheduler,
               Metrics& metrics, const LimitsOptions& limits,
               size_t max_inflight_requests);

  // Ranks the candidates of `request` into `response`; both, and the context's
  // cancel flag, must live until `done` is called, once: on a worker, or on
  // this thread for a request that is refused at once.
  //
  // INVALID_ARGUMENT, NOT_FOUND, FAILED_PRECONDITION: see RankService
  // RESOURCE_EXHAUSTED  too many requests in flight, or by what tiles cost and
  //                     how many wait, the deadline cannot be met
  // DEADLINE_EXCEEDED   it passed, and no partial reply was wanted or possible
  // CANCELLED           context.cancelled was set
  void Start(const v1::RankRequest& request, v1::RankResponse& response,
             const RankCall::Context& context, RankCall::Done done);

 private:
  // By what tiles cost and how many wait, can the deadline be met?
  absl::Status Admit(const v1::RankRequest& request, const ServedModel& model,
                     const RankCall::Context& context) const;

  const ModelRegistry& models_;
  TileScheduler& scheduler_;
  Metrics& metrics_;
  const LimitsOptions limits_;
  const size_t max_inflight_requests_;
  std::atomic<size_t> inflight_{0};
};

}  // namespace qlarank

#endif  // QLARANK_SERVER_PIPELINE_RANK_PIPELINE_H_
