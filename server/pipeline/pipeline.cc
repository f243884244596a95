#include "server/pipeline/pipeline.h"

#include "absl/time/clock.h"

namespace qlarank {

absl::StatusOr<std::unique_ptr<Pipeline>> Pipeline::Create(
    const ServerOptions& options, StateStore& store, Metrics& metrics) {
  auto pipeline = std::unique_ptr<Pipeline>(new Pipeline);
  pipeline->store_ = &store;
  ModelRegistry::Environment environment{store, pipeline->locks_, metrics};
  environment.snapshot_interval = options.store.snapshot_interval_events;
  environment.user_cache_bytes = options.store.user_cache_bytes;
  environment.scoring_threads = options.rank.workers;
  environment.fold_threads = options.ingest.fold_threads;
  auto models = ModelRegistry::Load(options.models, environment);
  if (!models.ok()) return models.status();
  pipeline->models_ = *std::move(models);

  const ModelRegistry& registry = *pipeline->models_;
  pipeline->scheduler_ = std::make_unique<TileScheduler>(options.rank.workers);
  pipeline->slots_ =
      std::make_unique<FairQuota>(options.rank.max_inflight_requests);
  pipeline->rank_ = std::make_unique<RankPipeline>(
      registry, *pipeline->scheduler_, *pipeline->slots_, metrics,
      options.limits);
  pipeline->state_ = std::make_unique<StatePipeline>(
      registry, *pipeline->scheduler_, *pipeline->slots_, metrics,
      options.limits);
  auto ingest =
      IngestPipeline::Create(store, registry, pipeline->locks_, metrics,
                             options.limits, options.ingest);
  if (!ingest.ok()) return ingest.status();
  pipeline->ingest_ = *std::move(ingest);
  pipeline->retention_ =
      std::make_unique<Retention>(store, *pipeline->ingest_, registry, metrics,
                                  options.retention);
  pipeline->admin_ =
      std::make_unique<AdminPipeline>(store, metrics.copies, options.store);
  return pipeline;
}

Pipeline::~Pipeline() = default;

absl::Status Pipeline::Flush() {
  absl::Status status;
  for (const auto& model : models_->models()) {
    status.Update(model->memory->WriteSnapshots());
  }
  status.Update(store_->Flush());
  return status;
}

bool Pipeline::WaitUntilFolded(absl::Duration timeout) {
  const absl::Time deadline = absl::Now() + timeout;
  for (const auto& model : models_->models()) {
    if (!model->folder->WaitIdle(deadline - absl::Now())) return false;
  }
  return true;
}

}  // namespace qlarank
