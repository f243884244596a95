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
  absl::Status status = pipeline->LoadModels(options, metrics);
  if (status.ok()) status = pipeline->MakeOwners(options, metrics);
  if (!status.ok()) return status;
  pipeline->MakeRanking(options, metrics);
  pipeline->MakeUpkeep(options, metrics);
  status = pipeline->rollout_->Resume();
  if (!status.ok()) return status;
  if (options.model_watch.enabled()) {
    pipeline->model_watch_ = std::make_unique<ModelWatch>(
        *pipeline->rollout_, *pipeline->models_, metrics.models, options);
  }
  return pipeline;
}

absl::Status Pipeline::LoadModels(const ServerOptions& options,
                                  Metrics& metrics) {
  auto catalogue = LiveCatalogue::Open(*store_, metrics.catalogue);
  if (!catalogue.ok()) return catalogue.status();
  catalogue_ = *std::move(catalogue);
  auto registry = Registry::Load(options.models, *store_, metrics.info,
                                 options.ingest.unknown_actions);
  if (!registry.ok()) return registry.status();
  models_ = std::make_unique<ModelRegistry>(*registry);
  // Before anything is folded under any of them.
  for (const LoadedModelPtr& model : (*registry)->models()) {
    absl::Status joined =
        catalogue_->Join(model->name, model->version, model->engine);
    if (!joined.ok()) return joined;
  }
  return absl::OkStatus();
}

absl::Status Pipeline::MakeOwners(const ServerOptions& options,
                                  Metrics& metrics) {
  states_ =
      std::make_unique<UserStates>(*store_, metrics, OfStates(options.store));
  scheduler_ = std::make_unique<TileScheduler>(options.rank.workers);
  migrations_ = std::make_unique<Migrations>(
      *states_, *store_, metrics, options.migration,
      [scheduler = scheduler_.get()] { return scheduler->busy(); });
  if (options.request_log.enabled()) {
    auto log =
        OpenRequestLog(options.request_log, *store_, metrics.request_log);
    if (!log.ok()) return log.status();
    request_log_ = *std::move(log);
  }
  auto partitions =
      Partitions::Create(*store_, *models_->Current(), *states_, metrics,
                         OfPartitions(options, *catalogue_,
                                      request_log_.get()));
  if (!partitions.ok()) return partitions.status();
  partitions_ = *std::move(partitions);
  return absl::OkStatus();
}

void Pipeline::MakeRanking(const ServerOptions& options, Metrics& metrics) {
  rank_models_ = std::make_unique<RankModels>(*models_, *states_, metrics.rank,
                                              *scheduler_);
  // Scratch is made before the first request wants it.
  for (const LoadedModelPtr& model : models_->Current()->models()) {
    rank_models_->Of(model);
  }
  slots_ = std::make_unique<FairQuota>(options.rank.max_inflight_requests);
  shadow_queue_ = std::make_unique<ShadowQueue>(metrics.shadow);
  shadow_scorer_ = std::make_unique<ShadowScorer>(
      ShadowScorer::Parts{*shadow_queue_, *models_, *states_, *store_,
                          *scheduler_, metrics.shadow});
  rank_ = std::make_unique<RankPipeline>(
      *rank_models_, *partitions_, *scheduler_, *slots_, metrics,
      options.limits, RankCall::Copies{request_log_.get(), shadow_queue_.get()},
      options.migration.max_replay_events);
  state_ = std::make_unique<StatePipeline>(*rank_models_, *partitions_,
                                           *scheduler_, *slots_, metrics,
                                           options.limits);
  model_ = std::make_unique<ModelPipeline>(*models_, *migrations_, *scheduler_,
                                           *slots_, metrics, options.limits);
}

void Pipeline::MakeUpkeep(const ServerOptions& options, Metrics& metrics) {
  ingest_ = std::make_unique<IngestPipeline>(*store_, *models_, *partitions_,
                                             metrics, options.limits,
                                             options.ingest);
  retention_ = std::make_unique<Retention>(*store_, *partitions_, *models_,
                                           metrics, options.retention);
  admin_ =
      std::make_unique<AdminPipeline>(*store_, metrics.copies, options.store);
  exports_ = std::make_unique<ExportPipeline>(*store_, metrics);
  info_ = std::make_unique<const ServerInfo>(*store_, *models_, *catalogue_,
                                             partitions_->num_owners());
  items_ = std::make_unique<ItemCalls>(*catalogue_, *models_,
                                       metrics.catalogue);
  rollout_ = std::make_unique<ModelRollout>(
      ModelRollout::Parts{*store_, *models_, *catalogue_, *states_,
                          *partitions_, *rank_models_, *migrations_, metrics},
      options);
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
