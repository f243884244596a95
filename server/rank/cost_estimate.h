// What one tile of a model costs, learned from some of the tiles that ran: an
// exponentially weighted mean of the time that they had a processor. How long
// they took would be another thing: beside other processes it is several times
// as much, and changes from one moment to the next (processor_share.h).
//
//   if (cost.Due()) {
//     ...                        // measure this tile
//     cost.Observe(processor_time);
//   }
//
// Thread-safe, without locks: a lost update does no harm.
#ifndef QLARANK_SERVER_RANK_COST_ESTIMATE_H_
#define QLARANK_SERVER_RANK_COST_ESTIMATE_H_

#include <algorithm>
#include <atomic>
#include <cstdint>

#include "absl/time/time.h"

namespace qlarank {

class CostEstimate {
 public:
  // One tile in so many is measured: asking for the thread's processor time
  // twice takes 0.6 us, a tile of a small model less than 10.
  static constexpr uint64_t kEvery = 8;

  // So many measured tiles back the mean looks: 256 tiles, some tens of
  // milliseconds, as far ahead as requests are planned.
  static constexpr int64_t kMemory = 32;

  // A tile takes a hundredth of this where it takes long. What seems to take
  // more, or less than nothing, met a jump of the clock, and would have later
  // requests refused that could make their deadlines.
  static constexpr absl::Duration kMostCost = absl::Seconds(1);

  // Whether the tile that is about to run is to be measured.
  bool Due() {
    return turn_.fetch_add(1, std::memory_order_relaxed) % kEvery == 0;
  }

  // A tile had a processor for so long.
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
  std::atomic<int64_t> tiles_{0};  // measured so far, or kMemory
  std::atomic<uint64_t> turn_{0};
};

}  // namespace qlarank

#endif  // QLARANK_SERVER_RANK_COST_ESTIMATE_H_
