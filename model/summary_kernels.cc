// kernels::AttendSummaries: candidates and the summaries of their user
// (docs/model.md section 8).

#include <cmath>

#include "model/kernels.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "model/summary_kernels.cc"
#include "hwy/foreach_target.h"
// Must follow foreach_target.h.
#include "hwy/highway.h"
#include "model/kernels-inl.h"

HWY_BEFORE_NAMESPACE();
namespace qlarank::kernels::HWY_NAMESPACE {

// x <- exp(scale (x - max x)); returns the sum. width: a multiple of the lanes.
template <class D>
HWY_INLINE float ExpInPlace(D d, float scale, size_t width, float* x) {
  auto highest = hn::LoadU(d, x);
  for (size_t i = hn::Lanes(d); i < width; i += hn::Lanes(d)) {
    highest = hn::Max(highest, hn::LoadU(d, x + i));
  }
  const auto shift = hn::MaxOfLanes(d, highest), factor = hn::Set(d, scale);
  const auto bound = hn::Set(d, kMaxExponent);
  return SumRow(d, width, [&](size_t i, auto sum) {
    const auto below = hn::Mul(factor, hn::Sub(shift, hn::LoadU(d, x + i)));
    // A NaN shows in the sum.
    const auto power =
        hn::IfThenElse(hn::IsNaN(below), below,
                       BoundedExpOfNegative(d, hn::Min(below, bound)));
    hn::StoreU(power, d, x + i);
    return hn::Add(sum, power);
  });
}

// out_r = factor_r weights_r . m for kRows rows side by side, so that they
// share the loads of m [inner, width]; weights [kRows, inner].
template <size_t kRows, class D>
HWY_INLINE void WeightedSums(D d, const float* weights, const float* factors,
                             const float* m, size_t inner, size_t width,
                             size_t out_stride, float* out) {
  for (size_t column = 0; column < width; column += hn::Lanes(d)) {
    hn::Vec<D> even[kRows], odd[kRows];
    for (size_t r = 0; r < kRows; ++r) even[r] = odd[r] = hn::Zero(d);
    for (size_t i = 0; i < inner; i += 2) {
      const auto m0 = hn::LoadU(d, m + i * width + column);
      const auto m1 = hn::LoadU(d, m + (i + 1) * width + column);
      for (size_t r = 0; r < kRows; ++r) {
        const float* w = weights + r * inner + i;
        even[r] = Fma(hn::Set(d, w[0]), m0, even[r]);
        odd[r] = Fma(hn::Set(d, w[1]), m1, odd[r]);
      }
    }
    for (size_t r = 0; r < kRows; ++r) {
      hn::StoreU(hn::Mul(hn::Set(d, factors[r]), hn::Add(even[r], odd[r])), d,
                 out + r * out_stride + column);
    }
  }
}

// weights = exp(<q, key> / sqrt(width) - its maximum), [num_seeds]; returns
// what to multiply them by. Never inlined: one body, the same bits, for all
// rows.
HWY_NOINLINE float SeedWeights(const float* q, const SummaryHeads& head,
                               size_t width, float* weights) {
  const float scale = 1.0f / std::sqrt(static_cast<float>(width));
  return WithTag(head.num_seeds, [&](auto d) {
    Multiply(d, q, head.keys, width, head.num_seeds, weights);
    return 1.0f / ExpInPlace(d, scale, head.num_seeds, weights);
  });
}

constexpr size_t kMaxSeeds = 1024;

// One head of AttendSummaries for kRows rows, `stride` apart in q and out.
template <size_t kRows, class D>
HWY_INLINE void AttendSummariesHead(D d, const float* q,
                                    const SummaryHeads& head, size_t width,
                                    size_t stride, float* out) {
  HWY_ALIGN float weights[kRows * kMaxSeeds];
  float factors[kRows];
  for (size_t r = 0; r < kRows; ++r) {
    factors[r] =
        SeedWeights(q + r * stride, head, width, weights + r * head.num_seeds);
  }
  WeightedSums<kRows>(d, weights, factors, head.values, head.num_seeds, width,
                      stride, out);
}

void AttendSummaries(const float* q, const SummaryHeads& summary,
                     HeadShape heads, size_t rows, float* out) {
  const size_t width = heads.head_width, model = heads.num_heads * width;
  const size_t head_floats = width * summary.num_seeds;
  WithTag(width, [&](auto d) {
    // Head by head, so that its keys and values stay in L1 for all rows.
    for (size_t index = 0; index < heads.num_heads; ++index) {
      const SummaryHeads head{summary.keys + index * head_floats,
                              summary.values + index * head_floats,
                              summary.num_seeds};
      size_t at = index * width, row = 0;
      for (; row + 4 <= rows; row += 4, at += 4 * model) {
        AttendSummariesHead<4>(d, q + at, head, width, model, out + at);
      }
      for (; row < rows; ++row, at += model) {
        AttendSummariesHead<1>(d, q + at, head, width, model, out + at);
      }
    }
  });
}

}  // namespace qlarank::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace qlarank::kernels {

HWY_EXPORT(AttendSummaries);

void AttendSummaries(const float* q, const SummaryHeads& summary,
                     HeadShape heads, size_t rows, float* out) {
  HWY_DYNAMIC_DISPATCH(AttendSummaries)(q, summary, heads, rows, out);
}

}  // namespace qlarank::kernels
#endif  // HWY_ONCE
