// Whom a call is from, for sharing the server fairly and for records.
//
// Thread-safe.
#ifndef QLARANK_SERVER_RPC_CALLER_NAMES_H_
#define QLARANK_SERVER_RPC_CALLER_NAMES_H_

#include <memory>
#include <string>
#include <utility>

#include "absl/strings/string_view.h"
#include "grpcpp/server_context.h"
#include "server/security/authenticator.h"

namespace qlarank {

class CallerNames {
 public:
  // Null where nobody is authenticated.
  explicit CallerNames(std::shared_ptr<const Authenticator> authenticator)
      : authenticator_(std::move(authenticator)) {}

  // The name of the caller's token or, without one, in its certificate; "" when
  // it has neither.
  std::string Principal(const grpc::ServerContextBase& context) const;

  // Whose share of the server a call takes: the principal's, wherever it calls
  // from, else that of the host, so that opening more connections does not get
  // anyone more. Callers without a name behind one proxy are one client.
  std::string Client(const grpc::ServerContextBase& context) const;

 private:
  const std::shared_ptr<const Authenticator> authenticator_;
};

// The host in gRPC's name of a peer, whatever the port: "ipv4:10.0.0.7" of
// "ipv4:10.0.0.7:4000", of IPv6 the network; "unix:" or whatever gRPC calls a
// peer without a port.
std::string HostOfPeer(absl::string_view peer);

}  // namespace qlarank

#endif  // QLARANK_SERVER_RPC_CALLER_NAMES_H_
