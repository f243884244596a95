#include "server/server.h"

#include <unistd.h>

#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "config/host_port.h"
#include "grpcpp/ext/proto_server_reflection_plugin.h"
#include "grpcpp/health_check_service_interface.h"
#include "grpcpp/server_builder.h"
#include "server/ops/lifecycle.h"
#include "server/ops/listen_error.h"
#include "server/ops/logging.h"
#include "server/ops/rpc_metrics_interceptor.h"
#include "server/port_file.h"

namespace qlarank {
namespace {

std::vector<std::string> ServiceNames() {
  std::vector<std::string> names;
  for (const auto* service : Services::Descriptors()) {
    names.push_back(service->full_name());
  }
  return names;
}

using Figures = std::map<std::string, double>;

constexpr char kHealth[] = "grpc.health.v1.Health";
constexpr char kReflection[] = "grpc.reflection.v1alpha.ServerReflection";

void AddMethods(RpcMetrics& metrics) {
  for (const auto* service : Services::Descriptors()) {
    metrics.AddService(*service);
  }
  // These come with gRPC, without descriptors.
  metrics.AddMethod("unary", kHealth, "Check");
  metrics.AddMethod("server_stream", kHealth, "Watch");
  metrics.AddMethod("bidi_stream", kReflection, "ServerReflectionInfo");
}

void SetInterceptors(RpcMetrics& metrics, EndlessStreams& streams,
                     grpc::ServerBuilder& builder) {
  std::vector<
      std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface>>
      creators;
  creators.push_back(std::make_unique<RpcMetricsInterceptorFactory>(metrics));
  const absl::flat_hash_set<std::string> endless = {
      absl::StrCat("/", kHealth, "/Watch"),
      absl::StrCat("/", kReflection, "/ServerReflectionInfo")};
  creators.push_back(
      std::make_unique<EndlessStreamsInterceptorFactory>(endless, streams));
  builder.experimental().SetInterceptorCreators(std::move(creators));
}

}  // namespace

absl::StatusOr<std::unique_ptr<Server>> Server::Start(
    const ServerOptions& options) {
  std::unique_ptr<Server> server(new Server(options));
  absl::Status status = server->StartHttp();
  if (!status.ok()) return status;
  absl::StatusOr<std::unique_ptr<Services>> services =
      Services::Create(options, server->metrics_);
  if (!services.ok()) return services.status();
  server->services_ = *std::move(services);
  server->loaded_services_ = server->services_.get();
  status = server->StartGrpc();
  if (!status.ok()) return status;
  server->health_.SetServing();
  LogInfo("serving", {{"grpc_port", server->grpc_port()},
                      {"http_port", server->http_port()}});
  if (!options.listen.port_file.empty()) {
    status = WritePortFile(options.listen.port_file, server->grpc_port(),
                           server->http_port());
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
      }) {
  AddMethods(metrics_.rpc);
}

Server::~Server() {
  if (grpc_ != nullptr) StopServing(absl::ZeroDuration());
}

absl::Status Server::StartHttp() {
  absl::StatusOr<std::unique_ptr<HttpEndpoints>> http = HttpEndpoints::Start(
      options_.listen.http_address, health_,
      {&metrics_.registry, &process_collector_, &store_collector_,
       &memory_collector_});
  if (!http.ok()) return http.status();
  http_ = *std::move(http);
  return absl::OkStatus();
}

absl::Status Server::StartGrpc() {
  const std::string& address = options_.listen.grpc_address;
  const int max_message_bytes =
      static_cast<int>(options_.limits.max_message_bytes);
  grpc::EnableDefaultHealthCheckService(true);
  grpc::reflection::InitProtoReflectionServerBuilderPlugin();
  grpc::ServerBuilder builder;
  builder.SetMaxReceiveMessageSize(max_message_bytes);
  builder.SetMaxSendMessageSize(max_message_bytes);
  // Else a second server could take the same port, and half of the requests.
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  builder.AddListeningPort(address, grpc::InsecureServerCredentials(),
                           &grpc_port_);
  SetInterceptors(metrics_.rpc, endless_streams_, builder);
  services_->Register(builder);
  grpc_ = builder.BuildAndStart();
  if (grpc_ == nullptr) return ListenError("listen.grpc_address", address);
  health_.Attach(*grpc_->GetHealthCheckService(), ServiceNames());
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
  grpc_->Shutdown(absl::ToChronoTime(absl::Now() + timeout));
  stopped.Notify();
  canceller.join();
  health_.Detach();
  grpc_ = nullptr;
}

}  // namespace qlarank
