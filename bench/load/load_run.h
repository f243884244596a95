// One run of the load generator: several flows side by side against one server.
//
// One thread takes answers, and starts the next request of a closed flow; every
// open flow has a thread that sleeps until the next arrival. Latency is counted
// from when a request was to be sent, which for an open flow is its arrival, so
// that a generator that falls behind does not hide what a user would have
// waited.
#ifndef QLARANK_BENCH_LOAD_LOAD_RUN_H_
#define QLARANK_BENCH_LOAD_LOAD_RUN_H_

#include <atomic>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "bench/load/flow.h"
#include "bench/load/latencies.h"
#include "bench/load/prepared_requests.h"
#include "bench/load/timeline.h"
#include "grpcpp/completion_queue.h"
#include "grpcpp/generic/generic_stub.h"
#include "nlohmann/json.hpp"

namespace qlarank::bench {

class LoadRun {
 public:
  struct Options {
    std::string server;          // host:port
    std::string source_address;  // to connect from; empty: any
    std::string timeline;        // file, bench/load/timeline.h; empty: none
    Population population;
    absl::Duration warm_up = absl::Seconds(1);
    absl::Duration duration = absl::Seconds(5);
    absl::Duration timeout = absl::Seconds(30);  // of one request
    uint32_t seed = 1;
  };

  LoadRun(Options options, const std::vector<Flow>& flows);
  ~LoadRun();

  // Blocks until the last request is answered. Once. {"flows": [{...}],
  // "client_processors": processors that the generator kept busy}.
  nlohmann::json Run();

 private:
  struct Stream;  // a flow under way
  struct Call;    // a request under way

  void Start(Stream& stream, absl::Time intended);
  void SendArrivals(Stream& stream, uint32_t seed);
  void Finish(Call& call);
  bool Measured(absl::Time intended) const;
  nlohmann::json Summary(const Stream& stream) const;

  const Options options_;
  grpc::CompletionQueue queue_;
  std::vector<std::unique_ptr<Stream>> streams_;
  absl::Time begin_, measure_from_, measure_to_;
  std::atomic<int64_t> under_way_ = 0;
  Timeline timeline_;  // of the thread that takes answers
};

}  // namespace qlarank::bench

#endif  // QLARANK_BENCH_LOAD_LOAD_RUN_H_
