#include "server/tcp_listener.h"

#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "config/host_port.h"
#include "server/ops/client_network.h"
#include "server/ops/listen_error.h"
#include "server/ops/log_throttle.h"
#include "server/ops/logging.h"

namespace qlarank {
namespace {

// As gRPC does.
constexpr int kBacklog = SOMAXCONN;

int PortOf(int listener) {
  sockaddr_storage bound = {};
  socklen_t size = sizeof(bound);
  getsockname(listener, reinterpret_cast<sockaddr*>(&bound), &size);
  return ntohs(bound.ss_family == AF_INET6
                   ? reinterpret_cast<sockaddr_in6&>(bound).sin6_port
                   : reinterpret_cast<sockaddr_in&>(bound).sin_port);
}

void SetPort(sockaddr& address, int port) {
  if (address.sa_family == AF_INET6) {
    reinterpret_cast<sockaddr_in6&>(address).sin6_port = htons(port);
  } else {
    reinterpret_cast<sockaddr_in&>(address).sin_port = htons(port);
  }
}

// -1 when `address` cannot be listened at.
int OpenListener(const addrinfo& address) {
  const int file = socket(address.ai_family,
                          SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (file < 0) return -1;
  const int yes = 1;
  const int no = 0;
  setsockopt(file, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
  // Connections inherit it: replies do not wait for more to send.
  setsockopt(file, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
  if (address.ai_family == AF_INET6) {
    // "[::]" means IPv4 too.
    setsockopt(file, IPPROTO_IPV6, IPV6_V6ONLY, &no, sizeof(no));
  }
  if (bind(file, address.ai_addr, address.ai_addrlen) == 0 &&
      listen(file, kBacklog) == 0) {
    return file;
  }
  close(file);
  return -1;
}

// The host that a connection comes from.
std::string HostOf(sockaddr_storage peer) {
  if (peer.ss_family == AF_INET6) {
    KeepNetwork(reinterpret_cast<sockaddr_in6&>(peer).sin6_addr);
  }
  char text[NI_MAXHOST] = "";
  getnameinfo(reinterpret_cast<const sockaddr*>(&peer), sizeof(peer), text,
              sizeof(text), nullptr, 0, NI_NUMERICHOST);
  return text;
}

}  // namespace

absl::StatusOr<std::unique_ptr<TcpListener>> TcpListener::Listen(
    absl::string_view field, const std::string& address) {
  std::unique_ptr<TcpListener> listener(new TcpListener);
  if (!listener->Open(address)) return ListenError(field, address);
  return listener;
}

TcpListener::TcpListener() : stop_file_(eventfd(0, EFD_CLOEXEC)) {}

TcpListener::~TcpListener() {
  Stop();
  close(stop_file_);
}

bool TcpListener::Open(const std::string& address) {
  const std::optional<HostPort> parsed = ParseHostPort(address);
  if (!parsed.has_value()) return false;
  addrinfo hints = {};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE;
  addrinfo* found = nullptr;
  if (getaddrinfo(parsed->host.c_str(), absl::StrCat(parsed->port).c_str(),
                  &hints, &found) != 0) {
    return false;
  }
  bool all = true;
  for (addrinfo* one = found; one != nullptr; one = one->ai_next) {
    // The port that the first has got.
    if (port_ != 0) SetPort(*one->ai_addr, port_);
    const int listener = OpenListener(*one);
    // A machine without IPv6 may still have a name for it.
    if (listener < 0 && (errno == EADDRNOTAVAIL || errno == EAFNOSUPPORT)) {
      continue;
    }
    all &= listener >= 0;
    if (listener < 0) continue;
    listeners_.push_back(listener);
    port_ = PortOf(listener);
  }
  freeaddrinfo(found);
  return all && !listeners_.empty();
}

void TcpListener::Start(
    std::function<void(const TcpConnection&)> on_connection) {
  thread_ = std::thread(
      [this, on_connection = std::move(on_connection)] { Run(on_connection); });
}

void TcpListener::Stop() {
  const uint64_t one = 1;
  while (write(stop_file_, &one, sizeof(one)) < 0 && errno == EINTR) {
  }
  if (thread_.joinable()) thread_.join();
  for (const int listener : listeners_) close(listener);
  listeners_.clear();
}

void TcpListener::Run(
    const std::function<void(const TcpConnection&)>& on_connection) {
  std::vector<pollfd> files = {{stop_file_, POLLIN, 0}};
  for (const int listener : listeners_) files.push_back({listener, POLLIN, 0});
  for (;;) {
    poll(files.data(), files.size(), -1);
    if (files[0].revents != 0) return;
    for (size_t i = 1; i < files.size(); ++i) {
      if (files[i].revents != 0) Accept(files[i].fd, on_connection);
    }
  }
}

void TcpListener::Accept(
    int listener,
    const std::function<void(const TcpConnection&)>& on_connection) {
  static LogThrottle throttle(absl::Seconds(10));
  sockaddr_storage peer = {};
  socklen_t size = sizeof(peer);
  const int file = accept4(listener, reinterpret_cast<sockaddr*>(&peer), &size,
                           SOCK_CLOEXEC | SOCK_NONBLOCK);
  if (file >= 0) return on_connection({file, listener, HostOf(peer)});
  if (errno == EAGAIN || errno == EINTR || errno == ECONNABORTED) return;
  // Out of files, most likely: it would be so again at once.
  if (const auto held_back = throttle.Admit(absl::Now())) {
    LogWarning("connection not accepted",
               {{"error", absl::ErrnoToStatus(errno, "accept")},
                {"held_back", *held_back}});
  }
  absl::SleepFor(absl::Milliseconds(100));
}

}  // namespace qlarank
