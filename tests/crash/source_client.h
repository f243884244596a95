// Sends a ledger's batches to the server until told to stop or until the server
// is gone, several in flight on a stream or, erasing users in between, one by
// one.
#ifndef QLARANK_TESTS_CRASH_SOURCE_CLIENT_H_
#define QLARANK_TESTS_CRASH_SOURCE_CLIENT_H_

#include <atomic>
#include <memory>
#include <string>

#include "absl/random/bit_gen_ref.h"
#include "grpcpp/channel.h"
#include "tests/crash/ledger.h"

namespace qlarank::testing {

enum class Transport { kStream, kUnary };

// To a server's listeners; users are erased at the second.
struct Channels {
  std::shared_ptr<grpc::Channel> main;
  std::shared_ptr<grpc::Channel> admin;
};

// Blocks. Returns what the server answered wrongly; empty when nothing. That it
// vanishes is not wrong.
std::string SendUntilBroken(const Channels& channels, Transport transport,
                            Ledger& ledger, absl::BitGenRef random,
                            const std::atomic<bool>& stop);

}  // namespace qlarank::testing

#endif  // QLARANK_TESTS_CRASH_SOURCE_CLIENT_H_
