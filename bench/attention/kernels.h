// Vector kernels of the attention mechanisms that the engine does not have
// (QLA runs on model/kernels.h, as it is served). Heads are kHeadWidth wide.
//
// Every row of a tile is computed by the same sequence of operations whatever
// stands beside it, as in model/kernels.h.
#ifndef QLARANK_BENCH_ATTENTION_KERNELS_H_
#define QLARANK_BENCH_ATTENTION_KERNELS_H_

#include <cstddef>

#include "bench/attention/shape.h"

namespace qlarank::bench::attention {

inline constexpr size_t kBlockKeys = 16;

// Keys and values of one head, as the kernels want to stream them. Slots that
// hold no key are 0.
struct alignas(64) KeyBlock {
  float keys[kHeadWidth][kBlockKeys];    // transposed
  float values[kBlockKeys][kHeadWidth];  // slot by slot
};

// A tile's tokens as the projection left them: rows [q k v g ...] of `stride`
// floats, d each. The buffer holds kTileRows rows, all of them finite.
struct Rows {
  float* data;
  size_t stride;
  size_t count;

  float* q(size_t row) const { return data + row * stride; }
  float* k(size_t row) const { return q(row) + kWidth; }
  float* v(size_t row) const { return q(row) + 2 * kWidth; }
  float* g(size_t row) const { return q(row) + 3 * kWidth; }
  float* rest(size_t row) const { return q(row) + 4 * kWidth; }
};

// What the rows of one head attend to beside themselves.
struct KeyView {
  const KeyBlock* blocks;
  size_t num_blocks;
  // Added to the score of row r and slot j: bias[j - r * bias_step]; kMasked
  // takes a slot out. bias_step is 0 for candidates, which all stand at the
  // same place, and 1 for consecutive events.
  const float* bias;
  ptrdiff_t bias_step;
  // Added to a row's score with itself.
  float self_bias;
};

// Far below every score, yet finite.
inline constexpr float kMasked = -1e30f;

enum class Weighting {
  kSoftmax,  // exp(s) / sum of exp(s)
  kSilu,     // SiLU(s) / number of keys
};

// o = sum over the slots and itself of weight(<q, k> / sqrt(d_h) + bias) v, of
// one head. `inverse_keys` is 1 / number of keys, for kSilu. o [kTileRows, d]
// from the head's first column on; rows up to the next multiple of 8 are
// written.
void AttendToKeys(Weighting weighting, const Rows& rows, size_t head,
                  const KeyView& keys, float inverse_keys, float* o);
// The same for one event: other register blocks, so the last bits differ.
void AttendToKeysAlone(Weighting weighting, const Rows& row, size_t head,
                       const KeyView& keys, float inverse_keys, float* o);

// o += scale_r x_r . m for every row: x [count, stride], the head's part;
// m [kHeadWidth, kHeadWidth]; scale with its own stride, or null for 1.
void AddRowsTimesMatrix(const float* x, size_t x_stride, const float* scale,
                        size_t scale_stride, const float* m, size_t count,
                        float* o);

// o_r = (o_r + <q, k> v) / (<q, normalizer> + <q, k>), of one head.
void NormalizeWithSelf(const Rows& rows, size_t head, const float* normalizer,
                       float* o);
// o_r += beta <q, k> v, of one head.
void AddSelf(const Rows& rows, size_t head, float beta, float* o);

// x = 1 / (1 + exp(-(x + bias))), [H], in place: of a gate, what it takes away,
// 1 - exp(-softplus(x + bias)).
void GateLosses(const float* bias, float* x);

// An event under the gated delta rule, all heads: what q reads of the state m
// [H, kHeadWidth, kHeadWidth], rows by key, into o [d]; and then
//   m = (1 - loss) (m - write k^T (k . m)) + write k^T v.
// qkv [3 d]; loss and write [H].
void AttendAndFoldDelta(const float* qkv, const float* loss, const float* write,
                        float* m, float* o);
// Every head's part of x to length 1, in place.
void UnitHeads(size_t width, float* x);

// m += k^T v, [kHeadWidth, kHeadWidth].
void AddOuterProduct(const float* k, const float* v, float* m);

// x = elu(x) + 1 and x = log(1 + exp(x)), in place; `width` is a multiple
// of 16.
void EluPlusOne(size_t width, float* x);
void Softplus(size_t width, float* x);

// attended = RMSNorm(o_h; norm_head) * SiLU(g), per head; in place allowed.
void NormAndGate(const Rows& rows, const float* o, const float* norm_head,
                 float* attended);

}  // namespace qlarank::bench::attention

#endif  // QLARANK_BENCH_ATTENTION_KERNELS_H_
