// Kernels of the mechanisms whose memory is matrices.

#include <cmath>
#include <type_traits>

#include "bench/attention/kernels.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "bench/attention/state_kernels.cc"
#include "hwy/foreach_target.h"
// Must follow foreach_target.h.
#include "bench/attention/vectors-inl.h"
#include "hwy/contrib/math/math-inl.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace qlarank::bench::attention::HWY_NAMESPACE {

// x_r times its scale, for kRows rows, next to one another.
template <size_t kRows>
HWY_INLINE void ScaleRows(const float* x, size_t x_stride, const float* scale,
                          size_t scale_stride, float* out) {
  for (size_t r = 0; r < kRows; ++r) {
    Scale(scale == nullptr ? 1.0f : scale[r * scale_stride], x + r * x_stride,
          out + r * kHeadWidth);
  }
}

void AddRowsTimesMatrix(const float* x, size_t x_stride, const float* scale,
                        size_t scale_stride, const float* m, size_t count,
                        float* o) {
  HWY_ALIGN float scaled[kRowGroup * kHeadWidth];
  size_t row = 0;
  const auto advance = [&](auto rows) {
    constexpr size_t kRows = decltype(rows)::value;
    ScaleRows<kRows>(x + row * x_stride, x_stride,
                     scale == nullptr ? nullptr : scale + row * scale_stride,
                     scale_stride, scaled);
    AddWeighted<kRows>(scaled, kHeadWidth, m, kHeadWidth, o + row * kWidth,
                       kWidth);
    row += kRows;
  };
  while (row + kRowGroup <= count) {
    advance(std::integral_constant<size_t, kRowGroup>());
  }
  while (row < count) advance(std::integral_constant<size_t, 1>());
}

void NormalizeWithSelf(const Rows& rows, size_t head, const float* normalizer,
                       float* o) {
  const size_t offset = head * kHeadWidth;
  for (size_t r = 0; r < rows.count; ++r) {
    const float* q = rows.q(r) + offset;
    float* row = o + r * kWidth + offset;
    const float self = DotHead(q, rows.k(r) + offset);
    AddScaled(self, rows.v(r) + offset, row);
    Scale(1.0f / (DotHead(q, normalizer) + self), row, row);
  }
}

void AddSelf(const Rows& rows, size_t head, float beta, float* o) {
  const size_t offset = head * kHeadWidth;
  for (size_t r = 0; r < rows.count; ++r) {
    AddScaled(beta * DotHead(rows.q(r) + offset, rows.k(r) + offset),
              rows.v(r) + offset, o + r * kWidth + offset);
  }
}

void AddOuterProduct(const float* k, const float* v, float* m) {
  for (size_t i = 0; i < kHeadWidth; ++i) {
    AddScaled(k[i], v, m + i * kHeadWidth);
  }
}

void EluPlusOne(size_t width, float* x) {
  const D d;
  const auto one = hn::Set(d, 1.0f), zero = hn::Zero(d);
  for (size_t i = 0; i < width; i += kLanes) {
    const auto value = hn::LoadU(d, x + i);
    const auto below = hn::Exp(d, hn::Min(value, zero));
    hn::StoreU(hn::IfThenElse(hn::Gt(value, zero), hn::Add(value, one), below),
               d, x + i);
  }
}

void Softplus(size_t width, float* x) {
  const D d;
  for (size_t i = 0; i < width; i += kLanes) {
    const auto value = hn::LoadU(d, x + i);
    // max(x, 0) + log(1 + exp(-|x|)) never overflows.
    const auto rest = hn::Log1p(d, hn::Exp(d, hn::Neg(hn::Abs(value))));
    hn::StoreU(hn::Add(hn::Max(value, hn::Zero(d)), rest), d, x + i);
  }
}

void GateLosses(const float* bias, float* x) {
  const hn::CappedTag<float, kHeads> d;
  const auto one = hn::Set(d, 1.0f);
  for (size_t i = 0; i < kHeads; i += hn::Lanes(d)) {
    const auto value = hn::Add(hn::LoadU(d, x + i), hn::LoadU(d, bias + i));
    const auto e = hn::Exp(d, hn::Min(hn::Neg(value), hn::Set(d, 87.0f)));
    hn::StoreU(hn::Div(one, hn::Add(one, e)), d, x + i);
  }
}

void NormAndGate(const Rows& rows, const float* o, const float* norm_head,
                 float* attended) {
  const D d;
  for (size_t r = 0; r < rows.count; ++r) {
    for (size_t column = 0; column < kWidth; column += kHeadWidth) {
      const float* in = o + r * kWidth + column;
      const float mean = DotHead(in, in) / kHeadWidth;
      const auto inverse = hn::Set(d, 1.0f / std::sqrt(mean + 1e-6f));
      for (size_t i = column; i < column + kHeadWidth; i += kLanes) {
        const auto normed =
            hn::Mul(hn::Mul(hn::LoadU(d, o + r * kWidth + i), inverse),
                    hn::LoadU(d, norm_head + i));
        const auto gate = Silu(hn::LoadU(d, rows.g(r) + i));
        hn::StoreU(hn::Mul(normed, gate), d, attended + r * kWidth + i);
      }
    }
  }
}

}  // namespace qlarank::bench::attention::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace qlarank::bench::attention {

HWY_EXPORT(AddRowsTimesMatrix);
HWY_EXPORT(NormalizeWithSelf);
HWY_EXPORT(AddSelf);
HWY_EXPORT(AddOuterProduct);
HWY_EXPORT(EluPlusOne);
HWY_EXPORT(Softplus);
HWY_EXPORT(GateLosses);
HWY_EXPORT(NormAndGate);

void AddRowsTimesMatrix(const float* x, size_t x_stride, const float* scale,
                        size_t scale_stride, const float* m, size_t count,
                        float* o) {
  HWY_DYNAMIC_DISPATCH(AddRowsTimesMatrix)
  (x, x_stride, scale, scale_stride, m, count, o);
}

void NormalizeWithSelf(const Rows& rows, size_t head, const float* normalizer,
                       float* o) {
  HWY_DYNAMIC_DISPATCH(NormalizeWithSelf)(rows, head, normalizer, o);
}

void AddSelf(const Rows& rows, size_t head, float beta, float* o) {
  HWY_DYNAMIC_DISPATCH(AddSelf)(rows, head, beta, o);
}

void AddOuterProduct(const float* k, const float* v, float* m) {
  HWY_DYNAMIC_DISPATCH(AddOuterProduct)(k, v, m);
}

void EluPlusOne(size_t width, float* x) {
  HWY_DYNAMIC_DISPATCH(EluPlusOne)(width, x);
}

void Softplus(size_t width, float* x) {
  HWY_DYNAMIC_DISPATCH(Softplus)(width, x);
}

void GateLosses(const float* bias, float* x) {
  HWY_DYNAMIC_DISPATCH(GateLosses)(bias, x);
}

void NormAndGate(const Rows& rows, const float* o, const float* norm_head,
                 float* attended) {
  HWY_DYNAMIC_DISPATCH(NormAndGate)(rows, o, norm_head, attended);
}

}  // namespace qlarank::bench::attention
#endif  // HWY_ONCE
