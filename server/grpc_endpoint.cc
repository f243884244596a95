#include "server/grpc_endpoint.h"

#include <algorithm>
#include <climits>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "grpc/health/v1/health.pb.h"
#include "grpcpp/ext/proto_server_reflection_plugin.h"
#include "grpcpp/health_check_service_interface.h"
#include "qlarank/v1/ingest_service.grpc.pb.h"
#include "qlarank/v1/state_service.grpc.pb.h"
#include "server/metrics/rpc_metrics_interceptor.h"
#include "server/short_slices.h"

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

// Those that are of no use while the store takes no writes: what the address for
// operators serves of StateService is erasure.
std::vector<std::string> WritingServices(Listener listener) {
  return {std::string(listener == Listener::kMain
                          ? v1::IngestService::service_full_name()
                          : v1::StateService::service_full_name())};
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

// gRPC's unit; no end for 0, and for what is longer than it can say.
int ToMilliseconds(absl::Duration duration) {
  if (duration == absl::ZeroDuration()) return INT_MAX;
  return static_cast<int>(
      std::min<int64_t>(absl::ToInt64Milliseconds(duration), INT_MAX));
}

// So that nobody holds a connection, or memory, by doing nothing.
void SetLimits(const ServerOptions& options, grpc::ServerBuilder& builder) {
  const int max_message_bytes =
      static_cast<int>(options.limits.max_message_bytes);
  builder.SetMaxReceiveMessageSize(max_message_bytes);
  builder.SetMaxSendMessageSize(max_message_bytes);
  const ConnectionsOptions& limits = options.connections;
  const auto set = [&](const char* name, int value) {
    builder.AddChannelArgument(name, value);
  };
  set(GRPC_ARG_MAX_METADATA_SIZE, Http2Limits::kMetadataBytes);
  set(GRPC_ARG_MAX_CONCURRENT_STREAMS, static_cast<int>(limits.max_streams));
  set(GRPC_ARG_KEEPALIVE_TIME_MS, ToMilliseconds(limits.keepalive_time));
  set(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, ToMilliseconds(limits.keepalive_timeout));
  // Connections without an RPC too.
  set(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  set(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);  // as many as it takes
  set(GRPC_ARG_MAX_CONNECTION_IDLE_MS, ToMilliseconds(limits.max_idle));
  set(GRPC_ARG_MAX_CONNECTION_AGE_MS, ToMilliseconds(limits.max_age));
  set(GRPC_ARG_MAX_CONNECTION_AGE_GRACE_MS, 30'000);
  // TLS and the first frame of HTTP/2 come by then; gRPC waits two minutes.
  set(GRPC_ARG_SERVER_HANDSHAKE_TIMEOUT_MS, 20'000);
  // Clients may ask for signs of life, too, if not all the time.
  set(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, 10'000);
}

}  // namespace

absl::StatusOr<std::unique_ptr<GrpcEndpoint>> GrpcEndpoint::Start(
    Listener listener, const EndpointSurroundings& surroundings) {
  const ListenOptions& listen = surroundings.options.listen;
  auto tcp = listener == Listener::kMain
                 ? TcpListener::Listen("listen.grpc_address",
                                       listen.grpc_address)
                 : TcpListener::Listen("listen.admin_address",
                                       listen.admin_address);
  if (!tcp.ok()) return tcp.status();
  std::unique_ptr<GrpcEndpoint> endpoint(new GrpcEndpoint(listener));
  endpoint->tcp_ = *std::move(tcp);
  grpc::EnableDefaultHealthCheckService(true);
  grpc::reflection::InitProtoReflectionServerBuilderPlugin();
  grpc::ServerBuilder builder;
  SetLimits(surroundings.options, builder);
  endpoint->acceptor_ = builder.experimental().AddExternalConnectionAcceptor(
      grpc::ServerBuilder::experimental_type::ExternalConnectionType::FROM_FD,
      surroundings.security.Credentials());
  SetInterceptors(surroundings.metrics.rpc, surroundings.endless_streams,
                  builder);
  surroundings.services.Register(listener, builder);
  {
    const ShortSlices short_slices;  // of gRPC's threads
    endpoint->server_ = builder.BuildAndStart();
  }
  if (endpoint->server_ == nullptr) {
    return absl::InternalError("gRPC does not start; its log says why");
  }
  endpoint->taker_ = std::make_unique<ConnectionTaker>(
      *endpoint->acceptor_, surroundings.options.security.tls.enabled(),
      surroundings.connections, surroundings.watches,
      surroundings.metrics.security);
  endpoint->taker_->TryOutWatching();
  endpoint->tcp_->Start(
      [taker = endpoint->taker_.get()](const TcpConnection& connection) {
        taker->Take(connection);
      });
  return endpoint;
}

void GrpcEndpoint::AttachTo(Health& health) {
  health.Attach(*server_->GetHealthCheckService(), ServiceNames(listener_),
                WritingServices(listener_));
}

void GrpcEndpoint::Shutdown(absl::Time deadline) {
  tcp_->Stop();
  server_->Shutdown(absl::ToChronoTime(deadline));
}

void AddMethodsTo(RpcMetrics& metrics) {
  for (const auto* service : Services::Descriptors()) {
    metrics.AddService(*service);
  }
  // Naming it here links what reflection needs to describe it: gRPC serves it
  // without a descriptor.
  metrics.AddService(
      *grpc::health::v1::HealthCheckRequest::descriptor()->file()->service(0));
  // This comes with gRPC, without a header.
  metrics.AddMethod("bidi_stream", kReflection, "ServerReflectionInfo");
}

}  // namespace qlarank
