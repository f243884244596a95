#include "server/server.h"

#include <unistd.h>

#include <algorithm>
#include <thread>
#include <utility>

#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "server/ops/file_limit.h"
#include "server/ops/lifecycle.h"
#include "server/ops/logging.h"
#include "server/port_file.h"
#include "state_store/rocksdb_state_store.h"

namespace qlarank {
namespace {

using Figures = std::map<std::string, double>;

uint32_t MaxConnections(const ConnectionsOptions& options) {
  const auto files = static_cast<uint32_t>(ShareFiles().connections);
  return options.max_total == 0 ? files : std::min(options.max_total, files);
}

// One connection may hold a quarter of what all may, and one message at least.
ConnectionWatches::Limits WatchLimits(const ServerOptions& options,
                                      const MemoryPlan& plan) {
  ConnectionWatches::Limits limits;
  limits.unfinished_bytes = plan.unfinished_bytes;
  limits.connection.unfinished_bytes = std::max(
      plan.unfinished_bytes / 4,
      uint64_t{options.limits.max_message_bytes} / 16 * 17);
  return limits;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Server>> Server::Start(
    const ServerOptions& options) {
  std::unique_ptr<Server> server(new Server(options));
  absl::StatusOr<std::unique_ptr<Security>> security =
      Security::Create(options, server->metrics_.security, server->health_);
  if (!security.ok()) return security.status();
  server->security_ = *std::move(security);
  absl::Status status = server->StartHttp();
  if (!status.ok()) return status;
  absl::StatusOr<std::unique_ptr<Services>> services =
      Services::Create(options, server->metrics_,
                       server->security_->authenticator(),
                       [server = server.get()](const absl::Status& fault) {
                         server->TakeWriteFault(fault);
                       });
  if (!services.ok()) return services.status();
  server->services_ = *std::move(services);
  server->loaded_services_ = server->services_.get();
  status = server->StartGrpc();
  if (!status.ok()) return status;
  server->health_.SetServing();
  LogInfo("serving", {{"grpc_port", server->grpc_port()},
                      {"http_port", server->http_port()},
                      {"admin_port", server->admin_port()}});
  if (!options.listen.port_file.empty()) {
    status = WritePortFile(options.listen.port_file, server->grpc_port(),
                           server->http_port(), server->admin_port());
  }
  if (!status.ok()) return status;
  return server;
}

Server::Server(const ServerOptions& options)
    : options_(options),
      store_collector_(
          "qlarank_rocksdb_", "the state store",
          [this] {
            const Services* services = loaded_services_;
            return services == nullptr ? Figures()
                                       : services->StoreStatistics();
          }),
      memory_collector_("qlarank_memory_", "the configuration", [this] {
        const Services* services = loaded_services_;
        return services == nullptr ? Figures() : services->MemoryFigures();
      }),
      connections_(options.connections.max_per_client,
                   MaxConnections(options.connections)),
      connections_collector_("qlarank_connections_", "the listeners", [this] {
        const ConnectionWatches* watches = serving_watches_;
        return Figures{
            {"open", static_cast<double>(connections_.open())},
            {"max_total", static_cast<double>(connections_.max_total())},
            {"unfinished_bytes",
             watches == nullptr
                 ? 0
                 : static_cast<double>(watches->unfinished_bytes())}};
      }) {
  AddMethodsTo(metrics_.rpc);
}

Server::~Server() {
  if (grpc_ != nullptr) StopServing(absl::ZeroDuration());
  if (watches_ != nullptr) watches_->Detach();
}

absl::Status Server::StartHttp() {
  absl::StatusOr<std::unique_ptr<HttpEndpoints>> http = HttpEndpoints::Start(
      options_.listen.http_address, health_,
      {&metrics_.registry, &process_collector_, &store_collector_,
       &memory_collector_, &connections_collector_});
  if (!http.ok()) return http.status();
  http_ = *std::move(http);
  return absl::OkStatus();
}

absl::Status Server::StartGrpc() {
  watches_ = std::make_shared<ConnectionWatches>(
      WatchLimits(options_, services_->memory_plan()), &metrics_.security);
  serving_watches_ = watches_.get();
  const EndpointSurroundings surroundings = {
      options_,         *security_,   *services_, metrics_,
      endless_streams_, connections_, *watches_};
  for (const Listener listener : {Listener::kMain, Listener::kAdmin}) {
    auto endpoint = GrpcEndpoint::Start(listener, surroundings);
    if (!endpoint.ok()) return endpoint.status();
    (*endpoint)->AttachTo(health_);
    (listener == Listener::kMain ? grpc_ : admin_) = *std::move(endpoint);
  }
  grpc_port_ = grpc_->port();
  admin_port_ = admin_->port();
  return absl::OkStatus();
}

absl::Status Server::Shutdown() {
  ShutdownSteps steps;
  steps.set_not_serving = [this] {
    LogInfo("draining", {{"drain_delay", options_.lifecycle.drain_delay}});
    health_.SetNotServing("draining");
  };
  steps.sleep = absl::SleepFor;
  steps.stop_serving = [this](absl::Duration timeout) {
    LogInfo("stopping", {{"shutdown_timeout", timeout}});
    StopServing(timeout);
  };
  steps.flush = [this] { return services_->Flush(); };
  const absl::Status status = ShutDownInOrder(options_.lifecycle, steps);
  if (!options_.listen.port_file.empty()) {
    unlink(options_.listen.port_file.c_str());
  }
  if (status.ok()) {
    LogInfo("stopped");
  } else {
    LogError("stopped without flushing everything", {{"error", status}});
  }
  return status;
}

void Server::TakeWriteFault(const absl::Status& fault) {
  if (fault.ok()) {
    health_.Restore(Part::kWrites);
  } else {
    health_.Degrade(Part::kWrites, fault.message());
  }
  metrics_.health.restart_needed.Set(RestartNeeded(fault) ? 1 : 0);
}

void Server::StopServing(absl::Duration timeout) {
  health_.SetNotServing("stopping");
  services_->EndStreams();
  absl::Notification stopped;
  std::thread canceller([&] {
    // Again and again: one may begin until Shutdown has shut the door.
    do {
      endless_streams_.CancelAll();
    } while (!stopped.WaitForNotificationWithTimeout(absl::Milliseconds(10)));
  });
  const absl::Time deadline = absl::Now() + timeout;
  for (const auto* endpoint : {&grpc_, &admin_}) {
    if (*endpoint != nullptr) (*endpoint)->Shutdown(deadline);
  }
  stopped.Notify();
  canceller.join();
  health_.Detach();
  grpc_ = nullptr;
  admin_ = nullptr;
}

}  // namespace qlarank
