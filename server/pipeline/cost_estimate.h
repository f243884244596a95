// What one tile of a model costs, learned from the tiles that ran. Thread-safe,
// without locks: an exponentially weighted mean, in which a lost update does no
// harm.
#ifndef QLARANK_SERVER_PIPELINE_COST_ESTIMATE_H_
#define QLARANK_SERVER_PIPELINE_COST_ESTIMATE_H_

#include <atomic>
#include <cstdint>

#include "absl/time/time.h"

namespace qlarank {

class CostEstimate {
 public:
  // A tile takes a hundredth of this where it takes long. What seems to take
  // more, or less than nothing, met a jump of the clock, and would have later
  // requests refused that could make their deadlines.
  static constexpr absl::Duration kMostCost = absl::Seconds(1);

  // A tile took so long.
  void Observe(absl::Duration cost) {
    if (cost < absl::ZeroDuration() || cost > kMostCost) return;
    const int64_t ns = absl::ToInt64Nanoseconds(cost);
    const int64_t mean = mean_ns_.load(std::memory_order_relaxed);
    // The first tile sets the mean; every later one moves it by 1/16.
    mean_ns_.store(mean == 0 ? ns : mean + (ns - mean) / 16,
                   std::memory_order_relaxed);
  }

  // Zero until something was observed.
  absl::Duration mean() const {
    return absl::Nanoseconds(mean_ns_.load(std::memory_order_relaxed));
  }

 private:
  std::atomic<int64_t> mean_ns_{0};
};

}  // namespace qlarank

#endif  // QLARANK_SERVER_PIPELINE_COST_ESTIMATE_H_
