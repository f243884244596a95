// The generator's connections to a server.
#ifndef QLARANK_BENCH_LOAD_CONNECTION_H_
#define QLARANK_BENCH_LOAD_CONNECTION_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "grpcpp/channel.h"

namespace qlarank::bench {

// A connection of its own to "host:port": each stands for a caller. With a
// `source_address`, an IPv4 address of this machine, it comes from there, which
// makes it another client's to the server; then both are IPv4 addresses, and
// the connection is not made again when it breaks.
absl::StatusOr<std::shared_ptr<grpc::Channel>> NewConnection(
    const std::string& server, const std::string& source_address);

}  // namespace qlarank::bench

#endif  // QLARANK_BENCH_LOAD_CONNECTION_H_
