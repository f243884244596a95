// What counts as one host among clients that have no name.
#ifndef QLARANK_SERVER_OPS_CLIENT_NETWORK_H_
#define QLARANK_SERVER_OPS_CLIENT_NETWORK_H_

#include <netinet/in.h>

#include <algorithm>
#include <cstdint>

namespace qlarank {

// Of an IPv6 address the network (/64), all of which one machine may have; an
// IPv4 address in disguise and the loopback address as they are.
inline void KeepNetwork(in6_addr& address) {
  if (IN6_IS_ADDR_V4MAPPED(&address) || IN6_IS_ADDR_LOOPBACK(&address)) return;
  std::fill(address.s6_addr + 8, address.s6_addr + 16, uint8_t{0});
}

}  // namespace qlarank

#endif  // QLARANK_SERVER_OPS_CLIENT_NETWORK_H_
