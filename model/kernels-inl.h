// What the files of vector kernels share, once per instruction set: included
// after "hwy/foreach_target.h".

// Toggles with every pass over the including file, as Highway's -inl.h do.
#if defined(QLARANK_MODEL_KERNELS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef QLARANK_MODEL_KERNELS_INL_H_
#undef QLARANK_MODEL_KERNELS_INL_H_
#else
#define QLARANK_MODEL_KERNELS_INL_H_
#endif

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
        even[r][v] = hn::MulAdd(q0, hn::LoadU(d, row + v * lanes), even[r][v]);
        odd[r][v] =
            hn::MulAdd(q1, hn::LoadU(d, row + columns + v * lanes), odd[r][v]);
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

}  // namespace qlarank::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
