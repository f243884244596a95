// The least a gRPC server can do for a Rank: it takes the request's bytes
// unread and answers at once with bytes that were made before. What the same
// client waits for it is what gRPC, loopback and the client take; the rest of a
// round trip is the server's own.
//
// gRPC's callback API with the defaults of its builder, as our server but
// without interceptors, limits, health or a listener of its own.
//
// A server that computes must not do so on gRPC's threads, and what other
// threads hand over costs more: woken twice, and gRPC finishes a call for them
// on a thread of its own. Answers from another thread tell that part.
#ifndef QLARANK_BENCH_LOAD_RANK_ECHO_H_
#define QLARANK_BENCH_LOAD_RANK_ECHO_H_

#include <cstdint>
#include <memory>

#include "absl/status/statusor.h"

namespace grpc {
class Server;
}  // namespace grpc

namespace qlarank::bench {

class RankEcho {
 public:
  // Which thread answers: gRPC's that brings the request, or one of ours that
  // waits for it.
  enum class Answers { kAtOnce, kFromAnotherThread };

  // Serves RankService/Rank at a free port of 127.0.0.1 until it is destroyed;
  // every response has as many scores as there are `candidates`, and all else
  // that our server writes. UNAVAILABLE when gRPC cannot listen.
  static absl::StatusOr<std::unique_ptr<RankEcho>> Start(uint32_t candidates,
                                                         Answers answers);
  // Cuts off what is under way.
  ~RankEcho();

  int port() const { return port_; }

 private:
  class Finisher;
  class Service;

  RankEcho(uint32_t candidates, Answers answers);

  const std::unique_ptr<Service> service_;
  int port_ = 0;
  std::unique_ptr<grpc::Server> server_;
};

}  // namespace qlarank::bench

#endif  // QLARANK_BENCH_LOAD_RANK_ECHO_H_
