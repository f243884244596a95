// Whom a call is from, as far as sharing the server fairly goes: the host it
// comes from, whatever the port, so that opening more connections does not get
// anyone more. Callers behind one proxy are one client.
#ifndef QLARANK_SERVER_RPC_CLIENT_NAME_H_
#define QLARANK_SERVER_RPC_CLIENT_NAME_H_

#include <string>

#include "grpcpp/server_context.h"

namespace qlarank {

// "ipv4:10.0.0.7"; "unix:" or whatever gRPC calls a peer without a port.
inline std::string ClientOf(const grpc::ServerContextBase& context) {
  std::string peer = context.peer();
  if (peer.compare(0, 2, "ip") == 0) peer.resize(peer.rfind(':'));
  return peer;
}

}  // namespace qlarank

#endif  // QLARANK_SERVER_RPC_CLIENT_NAME_H_
