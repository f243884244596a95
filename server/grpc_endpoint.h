// One address at which the server listens for gRPC: its part of the services,
// health and reflection, behind the interceptors that every RPC passes.
//
//   auto endpoint = GrpcEndpoint::Start(Listener::kMain, surroundings);
//   ...
//   (*endpoint)->Shutdown(deadline);
//
// Serves until it is destroyed.
#ifndef QLARANK_SERVER_GRPC_ENDPOINT_H_
#define QLARANK_SERVER_GRPC_ENDPOINT_H_

#include <memory>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "config/server_options.h"
#include "grpcpp/server.h"
#include "grpcpp/server_builder.h"
#include "server/connection_taker.h"
#include "server/metrics/metrics.h"
#include "server/metrics/rpc_metrics.h"
#include "server/ops/endless_streams.h"
#include "server/ops/health.h"
#include "server/security/access_table.h"
#include "server/security/client_connections.h"
#include "server/security/connection_watches.h"
#include "server/security/security.h"
#include "server/services.h"
#include "server/tcp_listener.h"

namespace qlarank {

// What endpoints share. All of it must outlive them.
struct EndpointSurroundings {
  const ServerOptions& options;
  const Security& security;
  Services& services;
  Metrics& metrics;
  EndlessStreams& endless_streams;
  ClientConnections& connections;
  ConnectionWatches& watches;
};

class GrpcEndpoint {
 public:
  // Listens. UNAVAILABLE when the address cannot be listened at, naming it and
  // its field.
  static absl::StatusOr<std::unique_ptr<GrpcEndpoint>> Start(
      Listener listener, const EndpointSurroundings& surroundings);

  int port() const { return tcp_->port(); }

  // Health answers for this endpoint from now on, until it is detached.
  void AttachTo(Health& health);

  // Takes nothing new; those in flight end by `deadline`, or are cut off.
  // Blocks.
  void Shutdown(absl::Time deadline);

 private:
  explicit GrpcEndpoint(Listener listener) : listener_(listener) {}

  const Listener listener_;
  std::unique_ptr<grpc::Server> server_;
  std::unique_ptr<grpc::experimental::ExternalConnectionAcceptor> acceptor_;
  std::unique_ptr<ConnectionTaker> taker_;
  // Last: it hands connections to what is above.
  std::unique_ptr<TcpListener> tcp_;
};

// Resolves the metrics of all methods that endpoints serve, before they do.
void AddMethodsTo(RpcMetrics& metrics);

}  // namespace qlarank

#endif  // QLARANK_SERVER_GRPC_ENDPOINT_H_
