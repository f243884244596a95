// What becomes of a connection between the listener and gRPC: refused when
// there are too many, watched for attacks, handed over.
//
//   ConnectionTaker taker(acceptor, encrypted, connections, watches, metrics);
//   tcp->Start([&](const TcpConnection& c) { taker.Take(c); });
//
// All of them must outlive it. Thread-compatible.
#ifndef QLARANK_SERVER_CONNECTION_TAKER_H_
#define QLARANK_SERVER_CONNECTION_TAKER_H_

#include <memory>

#include "grpcpp/server_builder.h"
#include "server/metrics/security_metrics.h"
#include "server/security/client_connections.h"
#include "server/security/connection_watches.h"
#include "server/tcp_listener.h"

namespace qlarank {

class ConnectionTaker {
 public:
  // `encrypted`: the acceptor's credentials are TLS.
  ConnectionTaker(grpc::experimental::ExternalConnectionAcceptor& acceptor,
                  bool encrypted, ClientConnections& connections,
                  ConnectionWatches& watches, SecurityMetrics& metrics)
      : acceptor_(acceptor),
        encrypted_(encrypted),
        connections_(connections),
        watches_(watches),
        metrics_(metrics) {}

  // The connection's file is gRPC's now, or closed.
  void Take(const TcpConnection& connection);

  // Hands gRPC a connection from this machine to itself, and sees whether what
  // gRPC does with it is seen (server/security/socket_hooks.h). The result is
  // in qlarank_connections_watched; an error is logged when it is not: then
  // clients are served all the same. Blocks, a few milliseconds as a rule, and
  // for `patience` at most.
  void TryOutWatching(absl::Duration patience = absl::Seconds(10));

 private:
  bool IsWatched(absl::Duration patience);
  // Returns whether gRPC began a session of TLS, if it should have.
  bool HandOverTo(const TcpConnection& connection,
                  const std::shared_ptr<WatchedConnection>& watched);
  void Refuse(const TcpConnection& connection,
              ClientConnections::Verdict verdict);

  grpc::experimental::ExternalConnectionAcceptor& acceptor_;
  const bool encrypted_;
  ClientConnections& connections_;
  ConnectionWatches& watches_;
  SecurityMetrics& metrics_;
};

}  // namespace qlarank

#endif  // QLARANK_SERVER_CONNECTION_TAKER_H_
