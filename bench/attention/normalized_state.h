// What linear attention with a positive kernel, phi = elu + 1, keeps in one
// layer: a sum, and the vector that gives the sum of its weights.
#ifndef QLARANK_BENCH_ATTENTION_NORMALIZED_STATE_H_
#define QLARANK_BENCH_ATTENTION_NORMALIZED_STATE_H_

#include <algorithm>
#include <array>
#include <cstddef>

#include "bench/attention/kernels.h"
#include "model/kernels.h"

namespace qlarank::bench::attention {

struct NormalizedState {
  std::array<float, kHeads * kHeadFloats> sum{};  // of phi(k)^T v
  std::array<float, kWidth> normalizer{};         // sum of phi(k)

  // o of rows that read the state and themselves; their q and k become phi(q)
  // and phi(k).
  void Read(const Rows& rows, float* o) const {
    for (size_t row = 0; row < rows.count; ++row) {
      EluPlusOne(2 * kWidth, rows.q(row));
    }
    std::fill_n(o, rows.count * kWidth, 0.0f);
    for (size_t head = 0; head < kHeads; ++head) {
      const size_t offset = head * kHeadWidth;
      AddRowsTimesMatrix(rows.data + offset, rows.stride, nullptr, 0,
                         sum.data() + head * kHeadFloats, rows.count,
                         o + offset);
      NormalizeWithSelf(rows, head, normalizer.data() + offset, o);
    }
  }

  // Adds an event whose k is phi(k).
  void Fold(const Rows& one) {
    for (size_t head = 0; head < kHeads; ++head) {
      const size_t offset = head * kHeadWidth;
      AddOuterProduct(one.k(0) + offset, one.v(0) + offset,
                      sum.data() + head * kHeadFloats);
    }
    for (size_t i = 0; i < kWidth; ++i) normalizer[i] += one.k(0)[i];
  }

  // The same after decaying what there is by 1 - loss, [H].
  void DecayAndFold(const Rows& one, const float* loss) {
    kernels::FoldOnly(one.k(0), loss, kHeadShape, sum.data(), sum.data());
    for (size_t i = 0; i < kWidth; ++i) {
      normalizer[i] += one.k(0)[i] - loss[i / kHeadWidth] * normalizer[i];
    }
  }
};

}  // namespace qlarank::bench::attention

#endif  // QLARANK_BENCH_ATTENTION_NORMALIZED_STATE_H_
