// Keys and values of one layer, in the blocks that AttendToKeys streams.
#ifndef QLARANK_BENCH_ATTENTION_KEY_CACHE_H_
#define QLARANK_BENCH_ATTENTION_KEY_CACHE_H_

#include <array>
#include <cstddef>
#include <vector>

#include "bench/attention/kernels.h"

namespace qlarank::bench::attention {

class KeyCache {
 public:
  // Bytes of one key and its value, all heads.
  static constexpr size_t kBytesPerKey = 2 * kWidth * sizeof(float);

  // Puts k and v [d] into `slot`, whatever was there; grows as needed.
  void Store(size_t slot, const float* k, const float* v) {
    for (size_t head = 0; head < kHeads; ++head) {
      std::vector<KeyBlock>& blocks = heads_[head];
      if (slot / kBlockKeys >= blocks.size()) {
        blocks.resize(slot / kBlockKeys + 1);
      }
      KeyBlock& block = blocks[slot / kBlockKeys];
      for (size_t i = 0; i < kHeadWidth; ++i) {
        block.keys[i][slot % kBlockKeys] = k[head * kHeadWidth + i];
        block.values[slot % kBlockKeys][i] = v[head * kHeadWidth + i];
      }
    }
  }

  const KeyBlock* blocks(size_t head) const { return heads_[head].data(); }
  size_t num_blocks() const { return heads_[0].size(); }

 private:
  std::array<std::vector<KeyBlock>, kHeads> heads_;
};

}  // namespace qlarank::bench::attention

#endif  // QLARANK_BENCH_ATTENTION_KEY_CACHE_H_
