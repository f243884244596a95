#include "server/connection_taker.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <optional>
#include <utility>

#include "absl/time/clock.h"
#include "server/ops/log_throttle.h"
#include "server/ops/logging.h"
#include "server/security/socket_hooks.h"

namespace qlarank {
namespace {

// Both ends of a TCP connection over loopback, the first as a client's.
std::optional<std::pair<int, int>> ConnectToOurselves() {
  const int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  auto* const any = reinterpret_cast<sockaddr*>(&address);
  socklen_t size = sizeof(address);
  int server = -1;
  if (bind(listener, any, size) == 0 && listen(listener, 1) == 0 &&
      getsockname(listener, any, &size) == 0 &&
      connect(client, any, size) == 0) {
    server = accept4(listener, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
  }
  close(listener);
  if (server >= 0) return std::pair(client, server);
  close(client);
  return std::nullopt;
}

}  // namespace

void ConnectionTaker::Take(const TcpConnection& connection) {
  const ClientConnections::Verdict verdict =
      connections_.Admit(connection.client, connection.file, absl::Now());
  if (verdict != ClientConnections::Verdict::kAdmitted) {
    return Refuse(connection, verdict);
  }
  HandOverTo(connection, watches_.Watch(connection.file, connection.client,
                                        encrypted_));
}

bool ConnectionTaker::HandOverTo(
    const TcpConnection& connection,
    const std::shared_ptr<WatchedConnection>& watched) {
  HookSocket(connection.file, watched);
  const HandOver hand_over(watched);
  grpc::experimental::ExternalConnectionAcceptor::NewConnectionParameters
      parameters;
  parameters.listener_fd = connection.listener_file;
  parameters.fd = connection.file;
  acceptor_.HandleNewConnection(&parameters);
  return hand_over.session_begun() || !encrypted_;
}

void ConnectionTaker::Refuse(const TcpConnection& connection,
                             ClientConnections::Verdict verdict) {
  const bool of_client =
      verdict == ClientConnections::Verdict::kClientHasTooMany;
  // Before the client knows, so that it sees itself counted.
  (of_client ? metrics_.refused_of_client : metrics_.refused_of_all)
      .Increment();
  close(connection.file);
  static LogThrottle throttle(absl::Seconds(10));
  if (const auto held_back = throttle.Admit(absl::Now())) {
    LogWarning(of_client ? "connection refused: its client has too many"
                         : "connection refused: all clients have too many",
               {{"client", connection.client}, {"held_back", *held_back}});
  }
}

void ConnectionTaker::TryOutWatching(absl::Duration patience) {
  if (IsWatched(patience)) return;
  metrics_.connections_watched.Set(0);
  LogError("connections are not watched: this gRPC library does not read "
           "through the program's functions; put a proxy in front "
           "(docs/security.md)");
}

bool ConnectionTaker::IsWatched(absl::Duration patience) {
  if (!HooksAreFound()) return false;
  const auto ends = ConnectToOurselves();
  if (!ends.has_value()) return false;
  // Of its own, so that it counts nowhere.
  const auto watches = std::make_shared<ConnectionWatches>(
      ConnectionWatches::Limits(), nullptr);
  const auto watched = watches->Watch(ends->second, "this", encrypted_);
  const bool session = HandOverTo({ends->second, -1, "this"}, watched);
  // gRPC reads that there is nothing to read any more.
  close(ends->first);
  const absl::Time end = absl::Now() + patience;
  while (!watched->was_read() && absl::Now() < end) {
    absl::SleepFor(absl::Milliseconds(1));
  }
  return session && watched->was_read();
}

}  // namespace qlarank
