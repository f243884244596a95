#include "server/pipeline.h"

#include <limits>
#include <string>
#include <utility>

#include "absl/container/flat_hash_map.h"

namespace qlarank {
namespace {

// An erasure that a crash kept from the log is made up for. Users of whom nothing
// was stored have no record; whoever had them erased was not answered, either.
absl::StatusOr<std::unique_ptr<RequestLog>> OpenRequestLog(
    const RequestLogOptions& options, const StateStore& store,
    RequestLogMetrics& metrics) {
  const auto erasures =
      store.ListErasures("", std::numeric_limits<size_t>::max());
  if (!erasures.ok()) return erasures.status();
  absl::flat_hash_map<std::string, int64_t> newest;
  for (const Erasure& erasure : *erasures) {
    newest.try_emplace(erasure.user_digest, erasure.note.time_us);
  }
  RequestLog::WasErased was_erased;
  if (!newest.empty()) {
    was_erased = [&store, newest = std::move(newest)](
                     absl::string_view user_id, int64_t time_us) {
      const auto erasure = newest.find(store.DigestOfUser(user_id));
      return erasure != newest.end() && time_us <= erasure->second;
    };
  }
  return RequestLog::Open(options, metrics, std::move(was_erased));
}

UserStates::Options OfStates(const StoreOptions& store) {
  UserStates::Options options;
  options.cache_bytes = store.user_cache_bytes;
  options.reading_cache_bytes = store.reading_cache_bytes;
  options.snapshot_interval = store.snapshot_interval_events;
  return options;
}

Partitions::Options OfPartitions(const ServerOptions& server,
                                 const LiveCatalogue& catalogue,
                                 RequestLog* request_log) {
  Partitions::Options options;
  options.catalogue = &catalogue;
  options.request_log = request_log;
  options.owners = server.ingest.shards;
  options.fold_threads = server.ingest.fold_threads;
  options.max_group_events = server.ingest.max_group_events;
  options.max_sources_per_user = server.limits.max_sources_per_user;
  return options;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Pipeline>> Pipeline::Create(
    const ServerOptions& options, StateStore& store, Metrics& metrics) {
  auto pipeline = std::unique_ptr<Pipeline>(new Pipeline);
  pipeline->store_ = &store;
  auto catalogue = LiveCatalogue::Open(store, metrics.catalogue);
  if (!catalogue.ok()) return catalogue.status();
  pipeline->catalogue_ = *std::move(catalogue);
  auto registry =
      Registry::Load(options.models, store, metrics.info,
                     options.ingest.unknown_actions);
  if (!registry.ok()) return registry.status();
  pipeline->models_ = std::make_unique<ModelRegistry>(*registry);
  // Before anything is folded under any of them.
  for (const LoadedModelPtr& model : (*registry)->models()) {
    absl::Status joined = pipeline->catalogue_->Join(model->name, model->version,
                                                     model->engine);
    if (!joined.ok()) return joined;
  }
  pipeline->states_ =
      std::make_unique<UserStates>(store, metrics, OfStates(options.store));
  pipeline->scheduler_ = std::make_unique<TileScheduler>(options.rank.workers);
  pipeline->migrations_ = std::make_unique<Migrations>(
      *pipeline->states_, store, metrics, options.migration,
      [scheduler = pipeline->scheduler_.get()] { return scheduler->busy(); });

  if (options.request_log.enabled()) {
    auto log = OpenRequestLog(options.request_log, store, metrics.request_log);
    if (!log.ok()) return log.status();
    pipeline->request_log_ = *std::move(log);
  }
  auto partitions = Partitions::Create(
      store, **registry, *pipeline->states_, metrics,
      OfPartitions(options, *pipeline->catalogue_,
                   pipeline->request_log_.get()));
  if (!partitions.ok()) return partitions.status();
  pipeline->partitions_ = *std::move(partitions);
  pipeline->rank_models_ = std::make_unique<RankModels>(
      *pipeline->models_, *pipeline->states_, metrics.rank,
      *pipeline->scheduler_);
  // Scratch is made before the first request wants it.
  for (const LoadedModelPtr& model : (*registry)->models()) {
    pipeline->rank_models_->Of(model);
  }
  pipeline->slots_ =
      std::make_unique<FairQuota>(options.rank.max_inflight_requests);
  pipeline->shadow_queue_ = std::make_unique<ShadowQueue>(metrics.shadow);
  pipeline->shadow_scorer_ = std::make_unique<ShadowScorer>(ShadowScorer::Parts{
      *pipeline->shadow_queue_, *pipeline->models_, *pipeline->states_, store,
      *pipeline->scheduler_, metrics.shadow});
  pipeline->rank_ = std::make_unique<RankPipeline>(
      *pipeline->rank_models_, *pipeline->partitions_, *pipeline->scheduler_,
      *pipeline->slots_, metrics, options.limits,
      RankCall::Copies{pipeline->request_log_.get(),
                       pipeline->shadow_queue_.get()},
      options.migration.max_replay_events);
  pipeline->state_ = std::make_unique<StatePipeline>(
      *pipeline->rank_models_, *pipeline->partitions_, *pipeline->scheduler_,
      *pipeline->slots_, metrics, options.limits);
  pipeline->model_ = std::make_unique<ModelPipeline>(
      *pipeline->models_, *pipeline->migrations_, *pipeline->scheduler_,
      *pipeline->slots_, metrics, options.limits);
  pipeline->ingest_ = std::make_unique<IngestPipeline>(
      store, *pipeline->models_, *pipeline->partitions_, metrics,
      options.limits, options.ingest);
  pipeline->retention_ =
      std::make_unique<Retention>(store, *pipeline->partitions_,
                                  *pipeline->models_, metrics,
                                  options.retention);
  pipeline->admin_ =
      std::make_unique<AdminPipeline>(store, metrics.copies, options.store);
  pipeline->exports_ = std::make_unique<ExportPipeline>(store, metrics);
  pipeline->info_ = std::make_unique<const ServerInfo>(
      store, *pipeline->models_, *pipeline->catalogue_,
      pipeline->partitions_->num_owners());
  pipeline->items_ = std::make_unique<ItemCalls>(
      *pipeline->catalogue_, *pipeline->models_, metrics.catalogue);
  pipeline->rollout_ = std::make_unique<ModelRollout>(
      ModelRollout::Parts{store, *pipeline->models_, *pipeline->catalogue_,
                          *pipeline->states_, *pipeline->partitions_,
                          *pipeline->rank_models_,
                          *pipeline->migrations_, metrics},
      options);
  const absl::Status resumed = pipeline->rollout_->Resume();
  if (!resumed.ok()) return resumed;
  if (options.model_watch.enabled()) {
    pipeline->model_watch_ = std::make_unique<ModelWatch>(
        *pipeline->rollout_, *pipeline->models_, metrics.models, options);
  }
  return pipeline;
}

Pipeline::~Pipeline() = default;

absl::Status Pipeline::Flush() {
  absl::Status status = states_->WriteSnapshots();
  status.Update(store_->Flush());
  return status;
}

bool Pipeline::WaitUntilFolded(absl::Duration timeout) {
  return partitions_->WaitUntilFolded(timeout);
}

}  // namespace qlarank
