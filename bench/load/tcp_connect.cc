#include "bench/load/tcp_connect.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace qlarank::bench {
namespace {

absl::StatusOr<sockaddr_in> Address(const std::string& host, int port) {
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  if (inet_pton(AF_INET, host.c_str(), &address.sin_addr) != 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("\"", host, "\" is not an IPv4 address"));
  }
  return address;
}

}  // namespace

absl::StatusOr<int> TcpConnect(const std::string& server,
                               const std::string& source_address) {
  const size_t colon = server.rfind(':');
  int port = 0;
  if (colon == std::string::npos ||
      !absl::SimpleAtoi(server.substr(colon + 1), &port)) {
    return absl::InvalidArgumentError(
        absl::StrCat("\"", server, "\" is not host:port"));
  }
  const auto from =
      Address(source_address.empty() ? "0.0.0.0" : source_address, 0);
  if (!from.ok()) return from.status();
  const auto to = Address(server.substr(0, colon), port);
  if (!to.ok()) return to.status();
  const int file = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (bind(file, reinterpret_cast<const sockaddr*>(&*from), sizeof(*from)) !=
          0 ||
      connect(file, reinterpret_cast<const sockaddr*>(&*to), sizeof(*to)) !=
          0) {
    const int error = errno;
    close(file);
    return absl::UnavailableError(absl::StrCat(
        "cannot connect to ", server,
        source_address.empty() ? "" : absl::StrCat(" from ", source_address),
        ": ", strerror(error)));
  }
  const int yes = 1;
  setsockopt(file, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
  fcntl(file, F_SETFL, fcntl(file, F_GETFL) | O_NONBLOCK);
  return file;
}

}  // namespace qlarank::bench
