#include "bench/load/latencies.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace qlarank::bench {

double Quantile(const std::vector<double>& sorted, double quantile) {
  const double rank = std::ceil(quantile * static_cast<double>(sorted.size()));
  return sorted[rank < 1 ? 0 : static_cast<size_t>(rank) - 1];
}

nlohmann::json Latencies::ToJson() const {
  nlohmann::json json{{"completed", milliseconds_.size()},
                      {"errors", errors_},
                      {"latency_ms", nullptr}};
  if (milliseconds_.empty()) return json;
  std::vector<double> sorted = milliseconds_;
  std::sort(sorted.begin(), sorted.end());
  json["latency_ms"] = {
      {"mean", std::accumulate(sorted.begin(), sorted.end(), 0.0) /
                   static_cast<double>(sorted.size())},
      {"p50", Quantile(sorted, 0.5)},
      {"p90", Quantile(sorted, 0.9)},
      {"p99", Quantile(sorted, 0.99)},
      {"p999", Quantile(sorted, 0.999)},
      {"max", sorted.back()}};
  return json;
}

}  // namespace qlarank::bench
