// What softmax and HSTU add to a score for the distance of two tokens: a row
// of a learned table, one row per distance up to 15, then two per doubling.
#ifndef QLARANK_BENCH_ATTENTION_POSITION_BIAS_H_
#define QLARANK_BENCH_ATTENTION_POSITION_BIAS_H_

#include <array>
#include <cstddef>
#include <vector>

#include "bench/attention/parameters.h"

namespace qlarank::bench::attention {

// r(x) = x for x < 16, else min(31, 16 + floor(2 log2(x / 16))).
size_t PositionBucket(size_t distance);

// The table of one layer, spread out by distance once, so that the biases of
// consecutive slots lie next to one another. Belongs to the model, not to a
// user.
class PositionBias {
 public:
  explicit PositionBias(const LayerParameters& layer) : layer_(layer) {}

  // Makes At valid for positions up to `position`.
  void Reserve(size_t position);

  // Pointer p such that p[j] is the bias of the token at `position` towards
  // the one at j; kMasked for j from `position` on, which it must not see as
  // an earlier one, up to a tile and a block further. A row further in a tile
  // of consecutive events, the pointer is one lower.
  const float* At(size_t head, size_t position) const {
    return by_distance_[head].data() + (longest_ - position);
  }
  // With itself.
  float Self(size_t head) const {
    return layer_.position_bias[head * kBiasBuckets];
  }

 private:
  const LayerParameters& layer_;
  size_t longest_ = 0;
  // Element longest_ - x is the bias of distance x.
  std::array<std::vector<float>, kHeads> by_distance_;
};

}  // namespace qlarank::bench::attention

#endif  // QLARANK_BENCH_ATTENTION_POSITION_BIAS_H_
