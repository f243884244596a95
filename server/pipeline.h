// All that happens behind the RPCs, put together in the order in which the
// parts depend on each other, and taken apart in the reverse.
#ifndef QLARANK_SERVER_PIPELINE_H_
#define QLARANK_SERVER_PIPELINE_H_

#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "config/server_options.h"
#include "server/catalogue/item_calls.h"
#include "server/catalogue/live_catalogue.h"
#include "server/compare/shadow_scorer.h"
#include "server/ingest/ingest_pipeline.h"
#include "server/metrics/metrics.h"
#include "server/models/model_registry.h"
#include "server/partition/partitions.h"
#include "server/rank/model_pipeline.h"
#include "server/rank/rank_models.h"
#include "server/rank/rank_pipeline.h"
#include "server/rank/state_pipeline.h"
#include "server/request_log/request_log.h"
#include "server/rollout/model_rollout.h"
#include "server/rollout/model_watch.h"
#include "server/states/migrations.h"
#include "server/states/user_states.h"
#include "server/upkeep/admin_pipeline.h"
#include "server/upkeep/export_pipeline.h"
#include "server/upkeep/retention.h"
#include "server/upkeep/server_info.h"
#include "server/work/fair_quota.h"
#include "server/work/tile_scheduler.h"
#include "state_store/state_store.h"

namespace qlarank {

class Pipeline {
 public:
  // Loads the models and starts the threads. Store and metrics must outlive the
  // pipeline. Errors are those of Registry::Load, Partitions::Create and
  // ModelRollout::Resume.
  static absl::StatusOr<std::unique_ptr<Pipeline>> Create(
      const ServerOptions& options, StateStore& store, Metrics& metrics);
  // Finishes what was begun. REQUIRES: no caller is left.
  ~Pipeline();

  ModelRegistry& models() { return *models_; }
  UserStates& states() { return *states_; }
  Partitions& partitions() { return *partitions_; }
  RankPipeline& rank() { return *rank_; }
  IngestPipeline& ingest() { return *ingest_; }
  StatePipeline& state() { return *state_; }
  ModelPipeline& model() { return *model_; }
  AdminPipeline& admin() { return *admin_; }
  ExportPipeline& exports() { return *exports_; }
  ModelRollout& rollout() { return *rollout_; }
  ItemCalls& items() { return *items_; }
  const ServerInfo& info() const { return *info_; }
  RankModels& rank_models() { return *rank_models_; }

  // Writes a snapshot of every state that is ahead of its last one, so that the
  // next start need not fold again, and makes all durable. REQUIRES: no
  // request is running any more. Errors lose nothing: the log has it all.
  absl::Status Flush();

  // Blocks until everything acknowledged so far is folded, or the time-out.
  // For tests and benchmarks.
  bool WaitUntilFolded(absl::Duration timeout);

 private:
  Pipeline() = default;

  // The steps of Create, in this order.
  absl::Status LoadModels(const ServerOptions& options, Metrics& metrics);
  absl::Status MakeOwners(const ServerOptions& options, Metrics& metrics);
  void MakeRanking(const ServerOptions& options, Metrics& metrics);
  void MakeUpkeep(const ServerOptions& options, Metrics& metrics);

  StateStore* store_ = nullptr;
  std::unique_ptr<LiveCatalogue> catalogue_;
  std::unique_ptr<ModelRegistry> models_;
  std::unique_ptr<UserStates> states_;
  std::unique_ptr<Migrations> migrations_;
  std::unique_ptr<RequestLog> request_log_;  // null: there is none
  std::unique_ptr<Partitions> partitions_;
  std::unique_ptr<RankModels> rank_models_;
  std::unique_ptr<FairQuota> slots_;  // requests in flight
  std::unique_ptr<ShadowQueue> shadow_queue_;
  std::unique_ptr<RankPipeline> rank_;
  std::unique_ptr<StatePipeline> state_;
  // After those whose jobs it may still have to finish.
  std::unique_ptr<TileScheduler> scheduler_;
  std::unique_ptr<ShadowScorer> shadow_scorer_;
  std::unique_ptr<ModelPipeline> model_;
  std::unique_ptr<IngestPipeline> ingest_;
  std::unique_ptr<Retention> retention_;
  std::unique_ptr<AdminPipeline> admin_;
  std::unique_ptr<ExportPipeline> exports_;
  std::unique_ptr<const ServerInfo> info_;
  std::unique_ptr<ItemCalls> items_;
  std::unique_ptr<ModelRollout> rollout_;
  std::unique_ptr<ModelWatch> model_watch_;  // null: nobody looks
};

}  // namespace qlarank

#endif  // QLARANK_SERVER_PIPELINE_H_
