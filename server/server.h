// The whole server in one object: HTTP endpoints, health, metrics and the gRPC
// endpoints around Services. main() is a thin shell over it, and tests run it
// in their own process on free ports.
//
//   absl::StatusOr<std::unique_ptr<Server>> server = Server::Start(options);
//   ...
//   absl::Status status = (*server)->Shutdown();
#ifndef QLARANK_SERVER_SERVER_H_
#define QLARANK_SERVER_SERVER_H_

#include <atomic>
#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "config/server_options.h"
#include "server/grpc_endpoint.h"
#include "server/metrics/metrics.h"
#include "server/metrics/process_collector.h"
#include "server/metrics/statistics_collector.h"
#include "server/ops/endless_streams.h"
#include "server/ops/health.h"
#include "server/ops/http_endpoints.h"
#include "server/security/client_connections.h"
#include "server/security/connection_watches.h"
#include "server/security/security.h"
#include "server/services.h"

namespace qlarank {

class Server {
 public:
  // Returns a server that takes requests. While it loads, /livez answers
  // already and /readyz says "loading". Blocks. Errors: those of
  // Security::Create and Services::Create; UNAVAILABLE when an address cannot be
  // listened at, naming it and its field; whatever writing listen.port_file
  // says.
  static absl::StatusOr<std::unique_ptr<Server>> Start(
      const ServerOptions& options);

  // Stops at once, as Shutdown would without delays, unless Shutdown did so.
  ~Server();

  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  int grpc_port() const { return grpc_port_; }
  int admin_port() const { return admin_port_; }
  int http_port() const { return http_->port(); }

  // Ends the server in order (server/ops/lifecycle.h): blocks for drain_delay,
  // and shutdown_timeout at most. Returns the error of flushing, if any. Once.
  absl::Status Shutdown();

 private:
  explicit Server(const ServerOptions& options);

  absl::Status StartHttp();
  absl::Status StartGrpc();
  void StopServing(absl::Duration timeout);
  // The store takes no writes any more or, if it is OK, takes them again.
  void TakeWriteFault(const absl::Status& fault);

  const ServerOptions options_;
  Metrics metrics_;
  Health health_{&metrics_.health};
  ProcessCollector process_collector_;
  std::unique_ptr<Security> security_;
  std::unique_ptr<Services> services_;
  // The same once loaded: scraping does not wait for loading.
  std::atomic<const Services*> loaded_services_ = nullptr;
  StatisticsCollector store_collector_;
  StatisticsCollector memory_collector_;
  ClientConnections connections_;
  // Connections keep it, too.
  std::shared_ptr<ConnectionWatches> watches_;
  // The same, once there is one.
  std::atomic<const ConnectionWatches*> serving_watches_ = nullptr;
  StatisticsCollector connections_collector_;
  // After what it scrapes, so that it stops first.
  std::unique_ptr<HttpEndpoints> http_;
  EndlessStreams endless_streams_;
  std::unique_ptr<GrpcEndpoint> grpc_;
  std::unique_ptr<GrpcEndpoint> admin_;
  int grpc_port_ = 0;
  int admin_port_ = 0;
};

}  // namespace qlarank

#endif  // QLARANK_SERVER_SERVER_H_
