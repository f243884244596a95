// "host:port", as addresses to listen at are written.
#ifndef QLARANK_CONFIG_HOST_PORT_H_
#define QLARANK_CONFIG_HOST_PORT_H_

#include <cstdint>
#include <optional>
#include <string>

#include "absl/strings/string_view.h"

namespace qlarank {

struct HostPort {
  std::string host;  // without brackets
  uint16_t port = 0;
};

// Parses "host:port"; an IPv6 host stands in brackets, "[::1]:8500". nullopt
// when a part is missing or the port is not in [0, 65535]. Resolves nothing.
std::optional<HostPort> ParseHostPort(absl::string_view address);

// Whether only this machine reaches `host`: "localhost", 127.0.0.0/8 or ::1, as
// it is written. Resolves nothing.
bool IsLoopback(absl::string_view host);

// The reverse; puts an IPv6 host in brackets.
std::string FormatHostPort(const HostPort& address);

}  // namespace qlarank

#endif  // QLARANK_CONFIG_HOST_PORT_H_
