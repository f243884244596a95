// A TCP connection to a server, from any address of this machine.
#ifndef QLARANK_BENCH_LOAD_TCP_CONNECT_H_
#define QLARANK_BENCH_LOAD_TCP_CONNECT_H_

#include <string>

#include "absl/status/statusor.h"

namespace qlarank::bench {

// A connected socket, non-blocking, to "host:port", both IPv4; from
// `source_address` unless it is empty. The caller closes it.
absl::StatusOr<int> TcpConnect(const std::string& server,
                               const std::string& source_address);

}  // namespace qlarank::bench

#endif  // QLARANK_BENCH_LOAD_TCP_CONNECT_H_
