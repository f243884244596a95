// One run of the load generator: several flows side by side against one server.
//
// One thread does everything: it sends what is due, takes answers, starts the
// next request of a closed flow, and sleeps until there is something to do.
// Latency is counted from when a request was to be sent, which for an open flow
// is its arrival, so that a generator that falls behind does not hide what a
// user would have waited.
#ifndef QLARANK_BENCH_LOAD_LOAD_RUN_H_
#define QLARANK_BENCH_LOAD_LOAD_RUN_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "bench/load/flow.h"
#include "bench/load/latencies.h"
#include "bench/load/load_stream.h"
#include "bench/load/prepared_requests.h"
#include "bench/load/timeline.h"
#include "nlohmann/json.hpp"

namespace qlarank::bench {

class LoadRun {
 public:
  struct Options {
    std::string server;          // IPv4 host:port
    std::string source_address;  // to connect from; empty: any
    std::string timeline;        // file, bench/load/timeline.h; empty: none
    Population population;
    absl::Duration warm_up = absl::Seconds(1);
    absl::Duration duration = absl::Seconds(5);
    absl::Duration timeout = absl::Seconds(30);  // of one request
    uint32_t seed = 1;
  };

  LoadRun(Options options, std::vector<Flow> flows);

  // Blocks until the last request is answered. Once. {"flows": [{...}],
  // "client_processors": processors that the generator kept busy}; UNAVAILABLE
  // when a connection cannot be made, or breaks.
  absl::StatusOr<nlohmann::json> Run();

 private:
  // A flow under way, and what became of its requests.
  struct Stream {
    std::unique_ptr<LoadStream> load;
    Latencies latencies;
    std::vector<double> late_ms;  // from when a request was to be sent
  };

  absl::Status Connect();
  // Until all has ended.
  absl::Status Exchange();
  void Wait() const;
  void Count(Stream& stream, const LoadStream::Outcome& outcome);
  nlohmann::json Summary(const Stream& stream) const;

  const Options options_;
  const std::vector<Flow> flows_;
  std::vector<Stream> streams_;
  absl::Time measure_from_, measure_to_;
  Timeline timeline_;
};

}  // namespace qlarank::bench

#endif  // QLARANK_BENCH_LOAD_LOAD_RUN_H_
