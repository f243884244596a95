// What the server serves: the store, the models, the pipeline over them and the
// RPC services on top. Server owns one of these and knows no more of it than
// its life:
//
//   Create -> Register -> (requests) -> EndStreams -> (last request) -> Flush
#ifndef QLARANK_SERVER_SERVICES_H_
#define QLARANK_SERVER_SERVICES_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "config/memory_plan.h"
#include "config/server_options.h"
#include "google/protobuf/descriptor.h"
#include "grpcpp/server_builder.h"
#include "server/metrics/metrics.h"
#include "server/pipeline.h"
#include "server/rpc_services.h"
#include "state_store/rocksdb_state_store.h"
#include "state_store/state_store.h"

namespace qlarank {

// Told of faults as RocksDbOptions::on_write_fault is.
using WriteFaultSink = std::function<void(const absl::Status& fault)>;

// What it opens a store in RocksDB with.
RocksDbOptions RocksDbOptionsOf(const StoreOptions& options);

// The store that the configuration names.
absl::StatusOr<std::unique_ptr<StateStore>> OpenConfiguredStore(
    const StoreOptions& options, WriteFaultSink on_write_fault = nullptr);

class Services {
 public:
  // Divides the memory budget (errors: PlanMemoryForBundles), opens the store
  // (errors: OpenRocksDbStateStore's), loads the models, starts the
  // workers. May take a while; meanwhile the server is live and not ready.
  // `metrics` and what `on_write_fault` uses must outlive this. Callers are
  // named by `authenticator`, null where nobody is authenticated.
  static absl::StatusOr<std::unique_ptr<Services>> Create(
      const ServerOptions& configured, Metrics& metrics,
      const std::shared_ptr<const Authenticator>& authenticator,
      WriteFaultSink on_write_fault);

  // Descriptors of all services, for health and for RpcMetrics.
  static std::vector<const google::protobuf::ServiceDescriptor*> Descriptors();

  // What the services work on, for tests.
  Pipeline& pipeline() { return *pipeline_; }
  StateStore& store() { return *store_; }

  // Registers what the listener serves. The services live as long as this
  // object, which must outlive the server that is built.
  void Register(Listener listener, grpc::ServerBuilder& builder);

  // Ends the streams that would otherwise last as long as their clients like,
  // so that the server can stop; what they have sent is answered first. New
  // calls get UNAVAILABLE from now on. From any thread.
  void EndStreams();

  // After the last request: writes snapshots and syncs the store. Events that
  // still wait to be folded are in the log, and folded when they are asked for.
  absl::Status Flush();

  const MemoryPlan& memory_plan() const { return memory_plan_; }

  // StateStore::Statistics(). From any thread.
  std::map<std::string, double> StoreStatistics() const;
  // The memory budget (0: none) and what the plan gives each part, with what
  // models that were loaded since have of it. From any thread.
  std::map<std::string, double> MemoryFigures() const;

 private:
  Services() = default;

  uint64_t memory_budget_bytes_ = 0;
  MemoryPlan memory_plan_;
  // Each needs those above it.
  std::unique_ptr<StateStore> store_;
  std::unique_ptr<Pipeline> pipeline_;
  std::unique_ptr<RpcServices> rpc_;
  std::unique_ptr<RpcServices> admin_rpc_;
};

}  // namespace qlarank

#endif  // QLARANK_SERVER_SERVICES_H_
