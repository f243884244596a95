// What one tile of a model costs, learned from the tiles that ran: an
// exponentially weighted mean. Thread-safe, without locks: a lost update does
// no harm.
#ifndef QLARANK_SERVER_PIPELINE_COST_ESTIMATE_H_
#define QLARANK_SERVER_PIPELINE_COST_ESTIMATE_H_

#include <algorithm>
#include <atomic>
#include <cstdint>

#include "absl/time/time.h"

namespace qlarank {

class CostEstimate {
 public:
  // So many tiles back the mean looks: some tens of milliseconds, as far ahead
  // as requests are planned. Most tiles take as long as their arithmetic, some
  // ten times that, when something else had the processor. A mean of a few
  // tiles goes up and down with these, and requests are let in whenever it is
  // down.
  static constexpr int64_t kMemory = 256;

  // A tile takes a hundredth of this where it takes long. What seems to take
  // more, or less than nothing, met a jump of the clock, and would have later
  // requests refused that could make their deadlines.
  static constexpr absl::Duration kMostCost = absl::Seconds(1);

  // A tile took so long.
  void Observe(absl::Duration cost) {
    if (cost < absl::ZeroDuration() || cost > kMostCost) return;
    const int64_t ns = absl::ToInt64Nanoseconds(cost);
    const int64_t mean = mean_ns_.load(std::memory_order_relaxed);
    // The plain mean of the first ones.
    const int64_t tiles = std::min(
        kMemory, tiles_.load(std::memory_order_relaxed) + 1);
    tiles_.store(tiles, std::memory_order_relaxed);
    mean_ns_.store(mean + (ns - mean) / tiles, std::memory_order_relaxed);
  }

  // Zero until something was observed.
  absl::Duration mean() const {
    return absl::Nanoseconds(mean_ns_.load(std::memory_order_relaxed));
  }

 private:
  std::atomic<int64_t> mean_ns_{0};
  std::atomic<int64_t> tiles_{0};  // so far, or kMemory
};

}  // namespace qlarank

#endif  // QLARANK_SERVER_PIPELINE_COST_ESTIMATE_H_
