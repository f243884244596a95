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

// kVectors vectors of out = q . m, q [inner], m [inner, columns], in registers.
template <size_t kVectors, class D>
HWY_INLINE void MultiplyBlock(D d, const float* q, const float* m, size_t inner,
                              size_t columns, float* out) {
  const size_t lanes = hn::Lanes(d);
  // Two chains per vector hide the latency of the multiply-add.
  hn::Vec<D> even[kVectors], odd[kVectors];
  for (size_t v = 0; v < kVectors; ++v) even[v] = odd[v] = hn::Zero(d);
  for (size_t i = 0; i < inner; i += 2) {
    const auto q0 = hn::Set(d, q[i]), q1 = hn::Set(d, q[i + 1]);
    const float* row = m + i * columns;
    for (size_t v = 0; v < kVectors; ++v) {
      even[v] = hn::MulAdd(q0, hn::LoadU(d, row + v * lanes), even[v]);
      odd[v] = hn::MulAdd(q1, hn::LoadU(d, row + columns + v * lanes), odd[v]);
    }
  }
  for (size_t v = 0; v < kVectors; ++v) {
    hn::StoreU(hn::Add(even[v], odd[v]), d, out + v * lanes);
  }
}

// out = q . m, a block of columns at a time: an element's sum has the same
// order whatever the block.
template <class D>
HWY_INLINE void Multiply(D d, const float* q, const float* m, size_t inner,
                         size_t columns, float* out) {
  const size_t lanes = hn::Lanes(d);
  size_t column = 0;
  for (; column + 4 * lanes <= columns; column += 4 * lanes) {
    MultiplyBlock<4>(d, q, m + column, inner, columns, out + column);
  }
  for (; column + 2 * lanes <= columns; column += 2 * lanes) {
    MultiplyBlock<2>(d, q, m + column, inner, columns, out + column);
  }
  for (; column < columns; column += lanes) {
    MultiplyBlock<1>(d, q, m + column, inner, columns, out + column);
  }
}

}  // namespace qlarank::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
