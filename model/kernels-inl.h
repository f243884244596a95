// What the files of vector kernels share, once per instruction set: included
// after "hwy/foreach_target.h".

// Toggles with every pass over the including file, as Highway's -inl.h do.
#if defined(QLARANK_MODEL_KERNELS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef QLARANK_MODEL_KERNELS_INL_H_
#undef QLARANK_MODEL_KERNELS_INL_H_
#else
#define QLARANK_MODEL_KERNELS_INL_H_
#endif

#include <cmath>
#include <cstddef>

#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace qlarank::kernels::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// At most 8 lanes, or all of 16 where the width allows: every width is a
// multiple of 8, so no kernel has a remainder loop.
using Narrow = hn::CappedTag<float, 8>;
using Wide = hn::CappedTag<float, 16>;

// Calls f with the widest tag whose lanes divide `width`.
template <class F>
HWY_INLINE auto WithTag(size_t width, F&& f) {
  if (width % hn::Lanes(Wide()) == 0) return f(Wide());
  return f(Narrow());
}

// a * b + c, rounded once whatever the target: hn::MulAdd rounds twice where
// there is no instruction for it.
template <class V>
HWY_INLINE V Fma(V a, V b, V c) {
#if HWY_TARGET == HWY_SCALAR
  return V(std::fma(a.raw, b.raw, c.raw));
#elif HWY_TARGET == HWY_EMU128
  V result = c;
  for (size_t i = 0; i < hn::MaxLanes(hn::DFromV<V>()); ++i) {
    result.raw[i] = std::fma(a.raw[i], b.raw[i], c.raw[i]);
  }
  return result;
#else
  return hn::MulAdd(a, b, c);
#endif
}

// The sum of a vector's lanes, halves first: lane j and lane j + L / 2.
template <class D, class V = hn::Vec<D>>
HWY_INLINE float SumOfHalves(D, V v) {
#if HWY_TARGET != HWY_SCALAR
  if constexpr (hn::MaxLanes(D()) == 4) {
    const auto pairs = hn::Add(v, hn::Shuffle1032(v));
    return hn::GetLane(hn::Add(pairs, hn::Shuffle2301(pairs)));
  } else {
    const hn::Half<D> half;
    return SumOfHalves(half,
                       hn::Add(hn::LowerHalf(half, v), hn::UpperHalf(half, v)));
  }
#else
  return hn::GetLane(v);
#endif
}

// A sum over a row, the same bits whatever the width of a vector (docs/model.md
// section 10): element i goes into virtual lane i % 16, in order; then lanes j
// and j + 8 are added, j and j + 4, and so on. add(i, sum): the sum with the
// elements of the vector from i on.
template <class D, class Add>
HWY_INLINE float SumRow(D d, size_t width, Add&& add) {
  constexpr size_t kVirtualLanes = 16;
  constexpr size_t kLanes = hn::MaxLanes(D());
  constexpr size_t kParts = kVirtualLanes / kLanes;
  hn::Vec<D> parts[kParts];
  for (auto& part : parts) part = hn::Zero(d);
  size_t i = 0;
  for (; i + kVirtualLanes <= width; i += kVirtualLanes) {
    for (size_t p = 0; p < kParts; ++p) {
      parts[p] = add(i + p * kLanes, parts[p]);
    }
  }
  if (i < width) {  // 8 are left
    for (size_t p = 0; p < kParts / 2; ++p) {
      parts[p] = add(i + p * kLanes, parts[p]);
    }
  }
  for (size_t n = kParts / 2; n > 0; n /= 2) {
    for (size_t p = 0; p < n; ++p) parts[p] = hn::Add(parts[p], parts[p + n]);
  }
  return SumOfHalves(d, parts[0]);
}

// kRows rows of q by kVectors vectors of m: out = q . m in registers, rows of q
// [inner] and of out `q_stride` and `out_stride` apart. Rows share the loads of
// m; a row's sums have the same order whatever kRows and kVectors.
template <size_t kRows, size_t kVectors, class D>
HWY_INLINE void MultiplyBlock(D d, const float* q, size_t q_stride,
                              const float* m, size_t inner, size_t columns,
                              size_t out_stride, float* out) {
  const size_t lanes = hn::Lanes(d);
  // Two chains per vector hide the latency of the multiply-add.
  hn::Vec<D> even[kRows][kVectors], odd[kRows][kVectors];
  for (size_t r = 0; r < kRows; ++r) {
    for (size_t v = 0; v < kVectors; ++v) even[r][v] = odd[r][v] = hn::Zero(d);
  }
  for (size_t i = 0; i < inner; i += 2) {
    const float* row = m + i * columns;
    for (size_t r = 0; r < kRows; ++r) {
      const auto q0 = hn::Set(d, q[r * q_stride + i]);
      const auto q1 = hn::Set(d, q[r * q_stride + i + 1]);
      for (size_t v = 0; v < kVectors; ++v) {
        even[r][v] = Fma(q0, hn::LoadU(d, row + v * lanes), even[r][v]);
        odd[r][v] = Fma(q1, hn::LoadU(d, row + columns + v * lanes), odd[r][v]);
      }
    }
  }
  for (size_t r = 0; r < kRows; ++r) {
    for (size_t v = 0; v < kVectors; ++v) {
      hn::StoreU(hn::Add(even[r][v], odd[r][v]), d,
                 out + r * out_stride + v * lanes);
    }
  }
}

// out = q . m for kRows rows, a block of columns at a time.
template <size_t kRows, class D>
HWY_INLINE void MultiplyRows(D d, const float* q, size_t q_stride,
                             const float* m, size_t inner, size_t columns,
                             size_t out_stride, float* out) {
  const size_t lanes = hn::Lanes(d);
  size_t column = 0;
  // As many sums as registers hold beside what they are made of.
  constexpr size_t kMost = kRows == 1 ? 4 : 2;
  for (; column + kMost * lanes <= columns; column += kMost * lanes) {
    MultiplyBlock<kRows, kMost>(d, q, q_stride, m + column, inner, columns,
                                out_stride, out + column);
  }
  for (; column < columns; column += lanes) {
    MultiplyBlock<kRows, 1>(d, q, q_stride, m + column, inner, columns,
                            out_stride, out + column);
  }
}

// out = q . m for one row.
template <class D>
HWY_INLINE void Multiply(D d, const float* q, const float* m, size_t inner,
                         size_t columns, float* out) {
  MultiplyRows<1>(d, q, inner, m, inner, columns, columns, out);
}

constexpr float kNormEpsilon = 1e-6f;
// exp(-x) of SiLU: beyond, SiLU(x) is x, or 0 to all of float's digits.
constexpr float kMaxExponent = 87.0f;

// exp(-x) for |x| <= kMaxExponent: relative error below 2e-7 (1 + |x| / 8).
// Ours, because a library's differs from one processor to the next.
template <class D, class V = hn::Vec<D>>
HWY_INLINE V BoundedExpOfNegative(D d, V x) {
  const hn::RebindToSigned<D> di;
  // exp(-x) = 2^(n + f), n whole, |f| <= 1/2. Adding 1.5 * 2^23 rounds to n and
  // leaves it in the lowest bits.
  const auto shifter = hn::Set(d, 12582912.0f);
  const auto minus_log2_e = hn::Set(d, -1.44269504f);
  const auto shifted = Fma(x, minus_log2_e, shifter);
  const auto f = Fma(x, minus_log2_e, hn::Sub(shifter, shifted));
  // 2^f by the polynomial of degree 6 with the least relative error, 2e-9, in
  // parts that do not wait for each other.
  const auto f2 = hn::Mul(f, f);
  const auto high =
      Fma(Fma(hn::Set(d, 1.535330957e-04f), f, hn::Set(d, 1.339893905e-03f)), f,
          hn::Set(d, 9.618437849e-03f));
  const auto middle =
      Fma(hn::Set(d, 5.550332367e-02f), f, hn::Set(d, 2.402264774e-01f));
  const auto low = Fma(hn::Set(d, 6.931471825e-01f), f, hn::Set(d, 1.0f));
  const auto p = Fma(Fma(high, f2, middle), f2, low);
  // Times 2^n: n joins the exponent's bits.
  const auto exponent = hn::ShiftLeft<23>(hn::BitCast(di, shifted));
  return hn::BitCast(d, hn::Add(hn::BitCast(di, p), exponent));
}

template <class D, class V = hn::Vec<D>>
HWY_INLINE V SiluVector(D d, V x) {
  const auto bound = hn::Set(d, kMaxExponent);
  const auto exponent = hn::Clamp(x, hn::Neg(bound), bound);
  // A division is faster than steps of Newton's here: it has ports of its own.
  return hn::Div(x,
                 hn::Add(hn::Set(d, 1.0f), BoundedExpOfNegative(d, exponent)));
}

template <class D>
HWY_INLINE float SumOfSquares(D d, const float* x, size_t width) {
  return SumRow(d, width, [&](size_t i, auto sum) {
    const auto v = hn::LoadU(d, x + i);
    return Fma(v, v, sum);
  });
}

HWY_INLINE float InverseRms(float sum_of_squares, size_t width) {
  return 1.0f /
         std::sqrt(sum_of_squares / static_cast<float>(width) + kNormEpsilon);
}

// Rows that are taken side by side, so that none waits for another row's sums;
// a multiple of every vector's lanes.
constexpr size_t kRowBlock = 16;

// factors[i] = 1 / RMS of a row whose squares sum to sums[i]; kRowBlock of
// them, in as few square roots and divisions as vectors allow.
HWY_INLINE void InverseRmsOfBlock(const float* sums, size_t width,
                                  float* factors) {
  const Wide d;
  const auto row_width = hn::Set(d, static_cast<float>(width));
  for (size_t i = 0; i < kRowBlock; i += hn::Lanes(d)) {
    const auto mean = hn::Div(hn::Load(d, sums + i), row_width);
    const auto rms = hn::Sqrt(hn::Add(mean, hn::Set(d, kNormEpsilon)));
    hn::Store(hn::Div(hn::Set(d, 1.0f), rms), d, factors + i);
  }
}

template <class D>
HWY_INLINE float DotWith(D d, const float* a, const float* b, size_t width) {
  return SumRow(d, width, [&](size_t i, auto sum) {
    return Fma(hn::LoadU(d, a + i), hn::LoadU(d, b + i), sum);
  });
}

}  // namespace qlarank::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
