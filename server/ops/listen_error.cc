#include "server/ops/listen_error.h"

#include <netdb.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <optional>

#include "absl/strings/str_cat.h"
#include "config/host_port.h"

namespace qlarank {
namespace {

// What the system says when a socket is bound to `address` and listens.
std::string TryToListen(const addrinfo& address) {
  const int file = socket(address.ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (file < 0) return strerror(errno);
  const int yes = 1;
  setsockopt(file, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
  std::string reason = "unknown reason";
  if (bind(file, address.ai_addr, address.ai_addrlen) != 0 ||
      listen(file, 1) != 0) {
    reason = strerror(errno);
  }
  close(file);
  return reason;
}

std::string Reason(const std::string& address) {
  const std::optional<HostPort> parsed = ParseHostPort(address);
  if (!parsed.has_value()) return "expected host:port";
  addrinfo hints = {};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE;
  addrinfo* found = nullptr;
  const int error = getaddrinfo(
      parsed->host.c_str(), absl::StrCat(parsed->port).c_str(), &hints, &found);
  if (error != 0) return gai_strerror(error);
  const std::string reason = TryToListen(*found);
  freeaddrinfo(found);
  return reason;
}

}  // namespace

absl::Status ListenError(absl::string_view field, const std::string& address) {
  return absl::UnavailableError(absl::StrCat(field, ": cannot listen at \"",
                                             address, "\": ", Reason(address)));
}

}  // namespace qlarank
