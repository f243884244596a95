// What became of a flow's requests: latencies and errors. Not thread-safe.
#ifndef QLARANK_BENCH_LOAD_LATENCIES_H_
#define QLARANK_BENCH_LOAD_LATENCIES_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "nlohmann/json.hpp"

namespace qlarank::bench {

class Latencies {
 public:
  void Answered(absl::Duration latency) {
    milliseconds_.push_back(absl::ToDoubleMilliseconds(latency));
  }
  void Failed(const std::string& reason) { ++errors_[reason]; }

  // {"completed", "errors": {reason: number}, "latency_ms": {"mean", "p50",
  // "p90", "p99", "p999", "max"}}; latency_ms is null without an answer.
  nlohmann::json ToJson() const;

 private:
  std::vector<double> milliseconds_;
  std::map<std::string, uint64_t> errors_;
};

// The smallest of `sorted` (not empty, ascending) that at least the share
// `quantile` of its values do not exceed.
double Quantile(const std::vector<double>& sorted, double quantile);

}  // namespace qlarank::bench

#endif  // QLARANK_BENCH_LOAD_LATENCIES_H_
