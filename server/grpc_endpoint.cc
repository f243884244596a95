#include "server/grpc_endpoint.h"

#include <algorithm>
#include <climits>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "grpcpp/ext/proto_server_reflection_plugin.h"
#include "grpcpp/health_check_service_interface.h"
#include "grpcpp/server_builder.h"
#include "server/ops/listen_error.h"
#include "server/ops/rpc_metrics_interceptor.h"

namespace qlarank {
namespace {

constexpr char kHealth[] = "grpc.health.v1.Health";
constexpr char kReflection[] = "grpc.reflection.v1alpha.ServerReflection";

std::vector<std::string> ServiceNames(Listener listener) {
  std::vector<std::string> names;
  for (const auto* service : Services::Descriptors()) {
    if (ServesAnyOf(listener, service->full_name())) {
      names.push_back(service->full_name());
    }
  }
  return names;
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

// A peer that has vanished without a word is noticed by not answering pings,
// and what was kept for it freed.
void KeepAlive(const ListenOptions& options, grpc::ServerBuilder& builder) {
  const auto milliseconds = [](absl::Duration duration) {
    return static_cast<int>(
        std::clamp<int64_t>(absl::ToInt64Milliseconds(duration), 1, INT_MAX));
  };
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS,
                             milliseconds(options.keepalive_time));
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS,
                             milliseconds(options.keepalive_timeout));
  // On connections without calls, and however many go unused.
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
}

}  // namespace

absl::StatusOr<std::unique_ptr<GrpcEndpoint>> GrpcEndpoint::Start(
    Listener listener, const ServerOptions& options, Services& services,
    RpcMetrics& metrics, EndlessStreams& endless_streams) {
  const bool main = listener == Listener::kMain;
  const std::string& address =
      main ? options.listen.grpc_address : options.listen.admin_address;
  const int max_message_bytes =
      static_cast<int>(options.limits.max_message_bytes);
  grpc::EnableDefaultHealthCheckService(true);
  grpc::reflection::InitProtoReflectionServerBuilderPlugin();
  grpc::ServerBuilder builder;
  builder.SetMaxReceiveMessageSize(max_message_bytes);
  builder.SetMaxSendMessageSize(max_message_bytes);
  // Else a second server could take the same port, and half of the requests.
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  std::unique_ptr<GrpcEndpoint> endpoint(new GrpcEndpoint(listener));
  builder.AddListeningPort(address, grpc::InsecureServerCredentials(),
                           &endpoint->port_);
  KeepAlive(options.listen, builder);
  SetInterceptors(metrics, endless_streams, builder);
  services.Register(listener, builder);
  endpoint->server_ = builder.BuildAndStart();
  if (endpoint->server_ == nullptr) {
    return ListenError(main ? "listen.grpc_address" : "listen.admin_address",
                       address);
  }
  return endpoint;
}

void GrpcEndpoint::AttachTo(Health& health) {
  health.Attach(*server_->GetHealthCheckService(), ServiceNames(listener_));
}

void GrpcEndpoint::Shutdown(absl::Time deadline) {
  server_->Shutdown(absl::ToChronoTime(deadline));
}

void AddMethodsTo(RpcMetrics& metrics) {
  for (const auto* service : Services::Descriptors()) {
    metrics.AddService(*service);
  }
  // These come with gRPC, without descriptors.
  metrics.AddMethod("unary", kHealth, "Check");
  metrics.AddMethod("server_stream", kHealth, "Watch");
  metrics.AddMethod("bidi_stream", kReflection, "ServerReflectionInfo");
}

}  // namespace qlarank
