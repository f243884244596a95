#include "server/pipeline.h"

namespace qlarank {

absl::StatusOr<std::unique_ptr<Pipeline>> Pipeline::Create(
    const ServerOptions& options, StateStore& store, Metrics& metrics) {
  auto pipeline = std::unique_ptr<Pipeline>(new Pipeline);
  pipeline->store_ = &store;
  ModelRegistry::Environment environment{store, metrics};
  environment.snapshot_interval = options.store.snapshot_interval_events;
  environment.user_cache_bytes = options.store.user_cache_bytes;
  environment.scoring_threads = options.rank.workers;
  auto models = ModelRegistry::Load(options.models, environment);
  if (!models.ok()) return models.status();
  pipeline->models_ = *std::move(models);

  const ModelRegistry& registry = *pipeline->models_;
  Partitions::Options of_partitions;
  of_partitions.count = options.ingest.shards;
  of_partitions.fold_threads = options.ingest.fold_threads;
  of_partitions.max_group_events = options.ingest.max_group_events;
  of_partitions.max_sources_per_user = options.limits.max_sources_per_user;
  auto partitions =
      Partitions::Create(store, registry, metrics, of_partitions);
  if (!partitions.ok()) return partitions.status();
  pipeline->partitions_ = *std::move(partitions);
  pipeline->scheduler_ = std::make_unique<TileScheduler>(options.rank.workers);
  pipeline->slots_ =
      std::make_unique<FairQuota>(options.rank.max_inflight_requests);
  pipeline->rank_ = std::make_unique<RankPipeline>(
      registry, *pipeline->partitions_, *pipeline->scheduler_,
      *pipeline->slots_, metrics, options.limits);
  pipeline->state_ = std::make_unique<StatePipeline>(
      registry, *pipeline->partitions_, *pipeline->scheduler_,
      *pipeline->slots_, metrics, options.limits);
  pipeline->ingest_ = std::make_unique<IngestPipeline>(
      store, registry, *pipeline->partitions_, metrics, options.limits,
      options.ingest);
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
  return partitions_->WaitUntilFolded(timeout);
}

}  // namespace qlarank
