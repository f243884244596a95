// Attention of a tile to cached keys, fused: scores, weights and weighted sum
// of a chunk of keys stay in L1, so no [rows, keys] matrix is ever written, and
// softmax keeps a running maximum.

#include <algorithm>
#include <cstring>

#include "bench/attention/kernels.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "bench/attention/attend_to_keys.cc"
#include "hwy/foreach_target.h"
// Must follow foreach_target.h.
#include "bench/attention/vectors-inl.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace qlarank::bench::attention::HWY_NAMESPACE {

constexpr size_t kChunkBlocks = 8;
constexpr size_t kChunkKeys = kChunkBlocks * kBlockKeys;
constexpr float kScoreScale = 0.25f;  // 1 / sqrt(d_h)
static_assert(kHeadWidth == 16);

// The rows of one head on their way through the keys.
struct alignas(64) Running {
  float q[kTileRows][kHeadWidth];  // scaled
  float o[kTileRows][kHeadWidth];  // weighted sum so far
  float max[kTileRows];            // of the scores so far; softmax only
  float sum[kTileRows];            // of exp(score - max); softmax only
};

// s[r, j] = bias + <q_r, k_j> for kRows rows and kBlocks blocks.
template <size_t kRows, size_t kBlocks>
HWY_INLINE void Scores(const float (*q)[kHeadWidth], const KeyBlock* blocks,
                       const float* bias, ptrdiff_t bias_step, float* s) {
  const D d;
  for (size_t v = 0; v < kVectors; ++v) {
    Vector sum[kRows][kBlocks];
    for (size_t r = 0; r < kRows; ++r) {
      const float* row_bias = bias - static_cast<ptrdiff_t>(r) * bias_step;
      for (size_t b = 0; b < kBlocks; ++b) {
        sum[r][b] = hn::LoadU(d, row_bias + b * kBlockKeys + v * kLanes);
      }
    }
    for (size_t i = 0; i < kHeadWidth; ++i) {
      for (size_t b = 0; b < kBlocks; ++b) {
        const auto key = hn::Load(d, blocks[b].keys[i] + v * kLanes);
        for (size_t r = 0; r < kRows; ++r) {
          sum[r][b] = hn::MulAdd(hn::Set(d, q[r][i]), key, sum[r][b]);
        }
      }
    }
    for (size_t r = 0; r < kRows; ++r) {
      for (size_t b = 0; b < kBlocks; ++b) {
        hn::Store(sum[r][b], d,
                  s + r * kChunkKeys + b * kBlockKeys + v * kLanes);
      }
    }
  }
}

// Scores [num_keys] of one row to exp(score - max); moves the row's maximum.
HWY_INLINE void SoftmaxWeights(size_t num_keys, size_t row, float* s,
                               Running& running) {
  const D d;
  auto chunk_max = hn::Load(d, s);
  for (size_t j = kLanes; j < num_keys; j += kLanes) {
    chunk_max = hn::Max(chunk_max, hn::Load(d, s + j));
  }
  const float highest = hn::GetLane(hn::MaxOfLanes(d, chunk_max));
  if (highest > running.max[row]) {
    const float shrink =
        hn::GetLane(Exp(hn::Set(d, running.max[row] - highest)));
    running.sum[row] *= shrink;
    Scale(shrink, running.o[row], running.o[row]);
    running.max[row] = highest;
  }
  const auto max = hn::Set(d, running.max[row]);
  auto sum = hn::Zero(d);
  for (size_t j = 0; j < num_keys; j += kLanes) {
    const auto weight = Exp(hn::Sub(hn::Load(d, s + j), max));
    sum = hn::Add(sum, weight);
    hn::Store(weight, d, s + j);
  }
  running.sum[row] += Sum(sum);
}

HWY_INLINE void SiluWeights(size_t num_keys, float* s) {
  const D d;
  for (size_t j = 0; j < num_keys; j += kLanes) {
    const auto score = hn::Load(d, s + j);
    const auto e = Exp(hn::Min(hn::Neg(score), hn::Set(d, 87.0f)));
    const auto below = hn::Add(hn::Set(d, 1.0f), e);
    // An estimate and one step of Newton's: as exact as needed, and cheaper
    // than a division.
    auto inverse = hn::ApproximateReciprocal(below);
    inverse = hn::Mul(inverse, hn::NegMulAdd(below, inverse, hn::Set(d, 2.0f)));
    hn::Store(hn::Mul(score, inverse), d, s + j);
  }
}

template <size_t kRows>
HWY_INLINE void Weights(Weighting weighting, size_t num_keys, size_t first_row,
                        float* s, Running& running) {
  for (size_t r = 0; r < kRows; ++r) {
    if (weighting == Weighting::kSoftmax) {
      SoftmaxWeights(num_keys, first_row + r, s + r * kChunkKeys, running);
    } else {
      SiluWeights(num_keys, s + r * kChunkKeys);
    }
  }
}

// Every row begins with the key that it always sees: its own.
HWY_INLINE void Begin(Weighting weighting, const Rows& rows, size_t head,
                      size_t num_rows, float self_bias, Running& running) {
  const D d;
  const size_t offset = head * kHeadWidth;
  for (size_t r = 0; r < num_rows; ++r) {
    Scale(kScoreScale, rows.q(r) + offset, running.q[r]);
    const float score = DotHead(running.q[r], rows.k(r) + offset) + self_bias;
    if (weighting == Weighting::kSoftmax) {
      running.max[r] = score;
      running.sum[r] = 1.0f;
      Scale(1.0f, rows.v(r) + offset, running.o[r]);
    } else {
      Scale(hn::GetLane(Silu(hn::Set(d, score))), rows.v(r) + offset,
            running.o[r]);
    }
  }
}

HWY_INLINE void End(Weighting weighting, size_t num_rows, size_t head,
                    float inverse_keys, const Running& running, float* o) {
  for (size_t r = 0; r < num_rows; ++r) {
    const float scale =
        weighting == Weighting::kSoftmax ? 1.0f / running.sum[r] : inverse_keys;
    Scale(scale, running.o[r], o + r * kWidth + head * kHeadWidth);
  }
}

void AttendToKeys(Weighting weighting, const Rows& rows, size_t head,
                  const KeyView& keys, float inverse_keys, float* o) {
  Running running;
  HWY_ALIGN float s[kRowGroup * kChunkKeys];
  const size_t num_rows = (rows.count + kRowGroup - 1) / kRowGroup * kRowGroup;
  Begin(weighting, rows, head, num_rows, keys.self_bias, running);
  // Chunk by chunk, so that its keys stay in L1 for all rows.
  for (size_t first = 0; first < keys.num_blocks; first += kChunkBlocks) {
    const KeyBlock* blocks = keys.blocks + first;
    const size_t num_blocks = std::min(kChunkBlocks, keys.num_blocks - first);
    for (size_t row = 0; row < num_rows; row += kRowGroup) {
      const float* bias = keys.bias + first * kBlockKeys -
                          static_cast<ptrdiff_t>(row) * keys.bias_step;
      for (size_t b = 0; b < num_blocks; ++b) {
        Scores<kRowGroup, 1>(running.q + row, blocks + b, bias + b * kBlockKeys,
                             keys.bias_step, s + b * kBlockKeys);
      }
      Weights<kRowGroup>(weighting, num_blocks * kBlockKeys, row, s, running);
      for (size_t b = 0; b < num_blocks; ++b) {
        AddWeighted<kRowGroup>(s + b * kBlockKeys, kChunkKeys,
                               blocks[b].values[0], kBlockKeys, running.o[row],
                               kHeadWidth);
      }
    }
  }
  End(weighting, num_rows, head, inverse_keys, running, o);
}

void AttendToKeysAlone(Weighting weighting, const Rows& row, size_t head,
                       const KeyView& keys, float inverse_keys, float* o) {
  Running running;
  HWY_ALIGN float s[kChunkKeys];
  Begin(weighting, row, head, 1, keys.self_bias, running);
  for (size_t first = 0; first < keys.num_blocks; first += kChunkBlocks) {
    const KeyBlock* blocks = keys.blocks + first;
    const size_t num_blocks = std::min(kChunkBlocks, keys.num_blocks - first);
    const float* bias = keys.bias + first * kBlockKeys;
    size_t b = 0;
    for (; b + 4 <= num_blocks; b += 4) {
      Scores<1, 4>(running.q, blocks + b, bias + b * kBlockKeys, 0,
                   s + b * kBlockKeys);
    }
    for (; b < num_blocks; ++b) {
      Scores<1, 1>(running.q, blocks + b, bias + b * kBlockKeys, 0,
                   s + b * kBlockKeys);
    }
    Weights<1>(weighting, num_blocks * kBlockKeys, 0, s, running);
    for (b = 0; b < num_blocks; ++b) {
      AddWeightedAlone(s + b * kBlockKeys, blocks[b].values[0], kBlockKeys,
                       running.o[0]);
    }
  }
  End(weighting, 1, head, inverse_keys, running, o);
}

}  // namespace qlarank::bench::attention::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace qlarank::bench::attention {

HWY_EXPORT(AttendToKeys);
HWY_EXPORT(AttendToKeysAlone);

void AttendToKeys(Weighting weighting, const Rows& rows, size_t head,
                  const KeyView& keys, float inverse_keys, float* o) {
  HWY_DYNAMIC_DISPATCH(AttendToKeys)
  (weighting, rows, head, keys, inverse_keys, o);
}

void AttendToKeysAlone(Weighting weighting, const Rows& row, size_t head,
                       const KeyView& keys, float inverse_keys, float* o) {
  HWY_DYNAMIC_DISPATCH(AttendToKeysAlone)
  (weighting, row, head, keys, inverse_keys, o);
}

}  // namespace qlarank::bench::attention
#endif  // HWY_ONCE
