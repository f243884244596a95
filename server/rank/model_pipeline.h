// Answers ListModels and GetModel: what is served, and what requests for it are
// made of.
//
// Such a call takes a slot like any other, so that a client who does not take
// their replies, which hold every name that a model knows, has no more of them
// than their share.
//
// Thread-safe. Start does not block: all of it is at hand.
#ifndef QLARANK_SERVER_RANK_MODEL_PIPELINE_H_
#define QLARANK_SERVER_RANK_MODEL_PIPELINE_H_

#include "absl/status/statusor.h"
#include "config/server_options.h"
#include "qlarank/v1/model_service.pb.h"
#include "server/metrics/metrics.h"
#include "server/models/model_registry.h"
#include "server/rank/rank_call.h"
#include "server/rank/request_slot.h"
#include "server/states/migrations.h"
#include "server/work/fair_quota.h"
#include "server/work/tile_scheduler.h"

namespace qlarank {

class ModelPipeline {
 public:
  using Context = RankCall::Context;
  using Done = RankCall::Done;

  // All must outlive the pipeline. `slots` are shared with Rank requests.
  ModelPipeline(const ModelRegistry& models, const Migrations& migrations,
                const TileScheduler& scheduler, FairQuota& slots,
                Metrics& metrics, const LimitsOptions& limits)
      : models_(models),
        migrations_(migrations),
        scheduler_(scheduler),
        slots_(slots),
        metrics_(metrics),
        limits_(limits) {}

  // Lists models into `response`, then calls `done`.
  // INVALID_ARGUMENT    page_token
  // RESOURCE_EXHAUSTED  too many requests in flight
  void Start(const v1::ListModelsRequest& request,
             v1::ListModelsResponse& response, const Context& context,
             Done done);

  // The same for one model with its schema.
  // NOT_FOUND           the model
  // RESOURCE_EXHAUSTED  likewise
  void Start(const v1::GetModelRequest& request,
             v1::GetModelResponse& response, const Context& context, Done done);

  // Nothing waits here that could end sooner.
  void NoticeCancellation() {}

 private:
  // A slot, or why there is none.
  absl::StatusOr<RequestSlot> TakeSlot(const Context& context);

  // With how far its migration is, if it has one.
  void AddMigration(const Registry& registry, v1::Model& model) const;

  const ModelRegistry& models_;
  const Migrations& migrations_;
  const TileScheduler& scheduler_;
  FairQuota& slots_;
  Metrics& metrics_;
  const LimitsOptions limits_;
};

}  // namespace qlarank

#endif  // QLARANK_SERVER_RANK_MODEL_PIPELINE_H_
