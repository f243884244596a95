// What both kernel files are made of. Included once per instruction set, after
// hwy/foreach_target.h, inside no namespace; see highway.h for the guard.
#if defined(QLARANK_BENCH_ATTENTION_VECTORS_INL_H_) == \
    defined(HWY_TARGET_TOGGLE)
#ifdef QLARANK_BENCH_ATTENTION_VECTORS_INL_H_
#undef QLARANK_BENCH_ATTENTION_VECTORS_INL_H_
#else
#define QLARANK_BENCH_ATTENTION_VECTORS_INL_H_
#endif

#include <cstddef>

#include "bench/attention/kernels.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace qlarank::bench::attention::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using D = hn::CappedTag<float, kHeadWidth>;
using Vector = hn::Vec<D>;
constexpr size_t kLanes = hn::MaxLanes(D());
constexpr size_t kVectors = kHeadWidth / kLanes;  // of a head's row
// Rows that share the loads of a key block or matrix: as many as registers
// hold.
constexpr size_t kRowGroup = kLanes == 16 ? 8 : 4;

// exp(x) for x <= 88, relative error below 2e-7; exactly 0 below -87. Highway's
// also serves infinities and denormals, and makes softmax attention as a whole
// an eighth slower: this is a race, so softmax gets the faster one.
HWY_INLINE Vector Exp(Vector x) {
  const D d;
  const hn::RebindToSigned<D> di;
  const auto lowest = hn::Set(d, -87.0f);
  const auto bounded = hn::Max(x, lowest);
  // x = n ln 2 + r, |r| <= ln 2 / 2; ln 2 in two parts keeps r exact.
  const auto n = hn::Round(hn::Mul(bounded, hn::Set(d, 1.44269504f)));
  auto r = hn::NegMulAdd(n, hn::Set(d, 0.693359375f), bounded);
  r = hn::NegMulAdd(n, hn::Set(d, -2.12194440e-4f), r);
  // exp(r) by its series, good to 1e-7 on that interval.
  auto p = hn::Set(d, 1.0f / 720);
  p = hn::MulAdd(p, r, hn::Set(d, 1.0f / 120));
  p = hn::MulAdd(p, r, hn::Set(d, 1.0f / 24));
  p = hn::MulAdd(p, r, hn::Set(d, 1.0f / 6));
  p = hn::MulAdd(p, r, hn::Set(d, 0.5f));
  p = hn::MulAdd(p, r, hn::Set(d, 1.0f));
  p = hn::MulAdd(p, r, hn::Set(d, 1.0f));
  // Times 2^n: n joins the exponent's bits.
  const auto shifted = hn::ShiftLeft<23>(hn::ConvertTo(di, n));
  const auto scaled = hn::BitCast(d, hn::Add(hn::BitCast(di, p), shifted));
  return hn::IfThenElseZero(hn::Ge(x, lowest), scaled);
}

// x / (1 + exp(-x)).
HWY_INLINE Vector Silu(Vector x) {
  const D d;
  const auto e = Exp(hn::Min(hn::Neg(x), hn::Set(d, 87.0f)));
  return hn::Div(x, hn::Add(hn::Set(d, 1.0f), e));
}

HWY_INLINE float Sum(Vector x) { return hn::GetLane(hn::SumOfLanes(D(), x)); }

HWY_INLINE float DotHead(const float* a, const float* b) {
  const D d;
  auto sum = hn::Zero(d);
  for (size_t i = 0; i < kHeadWidth; i += kLanes) {
    sum = hn::MulAdd(hn::LoadU(d, a + i), hn::LoadU(d, b + i), sum);
  }
  return Sum(sum);
}

// out += scale * a, one head wide.
HWY_INLINE void AddScaled(float scale, const float* a, float* out) {
  const D d;
  const auto factor = hn::Set(d, scale);
  for (size_t i = 0; i < kHeadWidth; i += kLanes) {
    hn::StoreU(hn::MulAdd(factor, hn::LoadU(d, a + i), hn::LoadU(d, out + i)),
               d, out + i);
  }
}

// out = scale * a, one head wide.
HWY_INLINE void Scale(float scale, const float* a, float* out) {
  const D d;
  const auto factor = hn::Set(d, scale);
  for (size_t i = 0; i < kHeadWidth; i += kLanes) {
    hn::StoreU(hn::Mul(factor, hn::LoadU(d, a + i)), d, out + i);
  }
}

// o_r += sum_j w[r, j] values[j] for kRows rows: w [kRows, w_stride], values
// [num_values, kHeadWidth], o [kRows, o_stride].
template <size_t kRows>
HWY_INLINE void AddWeighted(const float* w, size_t w_stride,
                            const float* values, size_t num_values, float* o,
                            size_t o_stride) {
  const D d;
  Vector sum[kRows][kVectors];
  for (size_t r = 0; r < kRows; ++r) {
    for (size_t v = 0; v < kVectors; ++v) {
      sum[r][v] = hn::LoadU(d, o + r * o_stride + v * kLanes);
    }
  }
  for (size_t j = 0; j < num_values; ++j) {
    for (size_t v = 0; v < kVectors; ++v) {
      const auto value = hn::LoadU(d, values + j * kHeadWidth + v * kLanes);
      for (size_t r = 0; r < kRows; ++r) {
        sum[r][v] =
            hn::MulAdd(hn::Set(d, w[r * w_stride + j]), value, sum[r][v]);
      }
    }
  }
  for (size_t r = 0; r < kRows; ++r) {
    for (size_t v = 0; v < kVectors; ++v) {
      hn::StoreU(sum[r][v], d, o + r * o_stride + v * kLanes);
    }
  }
}

// The same for one row, in four chains that hide the latency of the
// multiply-add. num_values is a multiple of 4.
HWY_INLINE void AddWeightedAlone(const float* w, const float* values,
                                 size_t num_values, float* o) {
  const D d;
  for (size_t v = 0; v < kVectors; ++v) {
    Vector sum[4] = {hn::LoadU(d, o + v * kLanes), hn::Zero(d), hn::Zero(d),
                     hn::Zero(d)};
    for (size_t j = 0; j < num_values; j += 4) {
      for (size_t chain = 0; chain < 4; ++chain) {
        const float* value = values + (j + chain) * kHeadWidth + v * kLanes;
        sum[chain] = hn::MulAdd(hn::Set(d, w[j + chain]), hn::LoadU(d, value),
                                sum[chain]);
      }
    }
    const auto total =
        hn::Add(hn::Add(sum[0], sum[1]), hn::Add(sum[2], sum[3]));
    hn::StoreU(total, d, o + v * kLanes);
  }
}

}  // namespace qlarank::bench::attention::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // toggle
