// A flow of requests under way, on a connection of its own. Not thread-safe.
//
//   stream.Begin(begin, end);
//   while (!stream.ended()) {
//     status = stream.Exchange([](const LoadStream::Outcome& outcome) { ... });
//     // wait for stream.ToPoll(), until stream.Next() at the latest
//   }
#ifndef QLARANK_BENCH_LOAD_LOAD_STREAM_H_
#define QLARANK_BENCH_LOAD_LOAD_STREAM_H_

#include <cstdint>
#include <deque>
#include <memory>
#include <random>
#include <string>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "bench/load/connection.h"
#include "bench/load/flow.h"
#include "bench/load/prepared_requests.h"

namespace qlarank::bench {

class LoadStream {
 public:
  // A request that has ended.
  struct Outcome {
    absl::Time intended;  // when it was to be sent
    absl::Time sent;
    absl::Time ended;
    int code = 0;         // gRPC's
    std::string message;  // of an error
    size_t bytes = 0;     // of the reply's message
  };
  using OnOutcome = absl::FunctionRef<void(const Outcome&)>;

  // Requests have `timeout` each; `seed` is of users, items and arrivals.
  LoadStream(const Flow& flow, const Population& population,
             absl::Duration timeout, uint32_t seed,
             std::unique_ptr<Connection> connection);

  // No request is to be sent from `end` on. Once, before all that follows.
  void Begin(absl::Time begin, absl::Time end);

  // Sends what is due and takes what has come, without waiting. UNAVAILABLE
  // when the connection is broken.
  absl::Status Exchange(OnOutcome on_outcome);

  // When there is something to do, whatever comes; and what may come.
  absl::Time Next() const;
  pollfd ToPoll() const { return connection_->ToPoll(); }
  bool ended() const { return calls_.empty() && next_arrival_ >= end_; }

  const Flow& flow() const { return flow_; }

 private:
  struct Call {
    absl::Time intended, sent;
  };

  void SetNextArrival();
  void Start(absl::Time intended);
  void End(Outcome outcome, OnOutcome on_outcome);
  void EndOverdue(OnOutcome on_outcome);

  const Flow flow_;
  const absl::Duration timeout_;
  PreparedRequests requests_;
  const std::unique_ptr<Connection> connection_;
  std::mt19937_64 random_;
  absl::Time end_;
  absl::Time next_arrival_ = absl::InfiniteFuture();  // of an open flow
  absl::flat_hash_map<int32_t, Call> calls_;          // under way
  // In the order of sending; some of them have ended.
  std::deque<std::pair<absl::Time, int32_t>> deadlines_;
};

}  // namespace qlarank::bench

#endif  // QLARANK_BENCH_LOAD_LOAD_STREAM_H_
