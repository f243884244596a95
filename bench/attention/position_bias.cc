#include "bench/attention/position_bias.h"

#include <algorithm>
#include <cmath>

#include "bench/attention/kernels.h"

namespace qlarank::bench::attention {

size_t PositionBucket(size_t distance) {
  if (distance < 16) return distance;
  const double doublings = std::log2(static_cast<double>(distance) / 16);
  return std::min<size_t>(kBiasBuckets - 1,
                          16 + static_cast<size_t>(2 * doublings));
}

void PositionBias::Reserve(size_t position) {
  if (position <= longest_ && !by_distance_[0].empty()) return;
  // Doubling keeps the cost per event constant.
  longest_ = std::max<size_t>(1024, 2 * position);
  for (size_t head = 0; head < kHeads; ++head) {
    std::vector<float>& biases = by_distance_[head];
    biases.assign(longest_ + kTileRows + kBlockKeys, kMasked);
    for (size_t x = 1; x <= longest_; ++x) {
      biases[longest_ - x] =
          layer_.position_bias[head * kBiasBuckets + PositionBucket(x)];
    }
  }
}

}  // namespace qlarank::bench::attention
