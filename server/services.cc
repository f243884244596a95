#include "server/services.h"

#include <algorithm>
#include <utility>

#include "qlarank/v1/admin_service.pb.h"
#include "qlarank/v1/ingest_service.pb.h"
#include "qlarank/v1/model_admin_service.pb.h"
#include "qlarank/v1/model_service.pb.h"
#include "qlarank/v1/rank_service.pb.h"
#include "qlarank/v1/state_service.pb.h"
#include "server/memory_budget.h"
#include "server/ops/file_limit.h"
#include "server/ops/logging.h"
#include "state_store/memory_state_store.h"

namespace qlarank {

RocksDbOptions RocksDbOptionsOf(const StoreOptions& options) {
  RocksDbOptions rocksdb;
  rocksdb.path = options.path;
  rocksdb.max_open_files = static_cast<int>(ShareFiles().tables);
  rocksdb.block_cache_bytes = options.block_cache_bytes;
  rocksdb.head_cache_bytes = options.head_cache_bytes;
  if (options.block_cache_bytes > 0) {
    // What is charged to the cache must leave some of it for blocks.
    rocksdb.memtable_bytes =
        std::min<size_t>(rocksdb.memtable_bytes, options.block_cache_bytes / 2);
  }
  rocksdb.on_warning = [](absl::string_view message) {
    LogWarning("RocksDB warns", {{"text", message}});
  };
  return rocksdb;
}

absl::StatusOr<std::unique_ptr<StateStore>> OpenConfiguredStore(
    const StoreOptions& options, WriteFaultSink on_write_fault) {
  if (options.engine == StoreEngine::kMemory) return NewMemoryStateStore();
  RocksDbOptions rocksdb = RocksDbOptionsOf(options);
  rocksdb.on_write_fault =
      [sink = std::move(on_write_fault)](const absl::Status& fault) {
        if (fault.ok()) {
          LogInfo("the store takes writes again");
        } else {
          LogError("the store refuses writes",
                   {{"error", fault.message()},
                    {"restart_needed", RestartNeeded(fault)}});
        }
        if (sink != nullptr) sink(fault);
      };
  return OpenRocksDbStateStore(rocksdb);
}

absl::StatusOr<std::unique_ptr<Services>> Services::Create(
    const ServerOptions& configured, Metrics& metrics,
    const std::shared_ptr<const Authenticator>& authenticator,
    WriteFaultSink on_write_fault) {
  const absl::StatusOr<MemoryPlan> plan = PlanMemoryForBundles(configured);
  if (!plan.ok()) return plan.status();
  ServerOptions options = configured;
  options.store = WithCachesOf(*plan, configured.store);

  std::unique_ptr<Services> services(new Services);
  services->memory_budget_bytes_ = options.memory.budget_bytes;
  services->memory_plan_ = *plan;
  auto store = OpenConfiguredStore(options.store, std::move(on_write_fault));
  if (!store.ok()) return store.status();
  services->store_ = *std::move(store);
  auto pipeline = Pipeline::Create(options, *services->store_, metrics);
  if (!pipeline.ok()) return pipeline.status();
  services->pipeline_ = *std::move(pipeline);
  for (const Listener listener : {Listener::kMain, Listener::kAdmin}) {
    (listener == Listener::kMain ? services->rpc_ : services->admin_rpc_) =
        std::make_unique<RpcServices>(listener, *services->pipeline_, options,
                                      authenticator);
  }
  return services;
}

std::vector<const google::protobuf::ServiceDescriptor*>
Services::Descriptors() {
  return {
      v1::RankRequest::descriptor()->file()->FindServiceByName("RankService"),
      v1::UserEvent::descriptor()->file()->FindServiceByName("IngestService"),
      v1::DeleteUserRequest::descriptor()->file()->FindServiceByName(
          "StateService"),
      v1::Model::descriptor()->file()->FindServiceByName("ModelService"),
      v1::LoadModelRequest::descriptor()->file()->FindServiceByName(
          "ModelAdminService"),
      v1::CheckpointRequest::descriptor()->file()->FindServiceByName(
          "AdminService")};
}

void Services::Register(Listener listener, grpc::ServerBuilder& builder) {
  (listener == Listener::kMain ? rpc_ : admin_rpc_)->RegisterWith(builder);
}

void Services::EndStreams() {
  rpc_->BeginDrain();
  admin_rpc_->BeginDrain();
}

absl::Status Services::Flush() { return pipeline_->Flush(); }

std::map<std::string, double> Services::StoreStatistics() const {
  return store_->Statistics();
}

std::map<std::string, double> Services::MemoryFigures() const {
  const auto figure = [](uint64_t bytes) { return static_cast<double>(bytes); };
  const ModelMemory::Taken taken = pipeline_->rollout().memory_taken();
  return {{"budget_bytes", figure(memory_budget_bytes_)},
          {"process_bytes",
           figure(memory_plan_.process_bytes + taken.process_bytes)},
          {"bundles_bytes",
           figure(memory_plan_.bundles_bytes + taken.bundles_bytes)},
          {"head_cache_bytes", figure(memory_plan_.head_cache_bytes)},
          {"block_cache_bytes", figure(memory_plan_.block_cache_bytes)},
          {"user_cache_bytes",
           figure(memory_plan_.user_cache_bytes - taken.total_bytes())},
          {"reading_cache_bytes", figure(memory_plan_.reading_cache_bytes)},
          {"unfinished_bytes", figure(memory_plan_.unfinished_bytes)}};
}

}  // namespace qlarank
