#include "model/kernels.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "model/kernels.cc"
#include "hwy/foreach_target.h"
// Must follow foreach_target.h.
#include "hwy/contrib/math/math-inl.h"
#include "hwy/highway.h"
#include "model/kernels-inl.h"

HWY_BEFORE_NAMESPACE();
namespace qlarank::kernels::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

constexpr float kNormEpsilon = 1e-6f;
// exp(-x) of SiLU: beyond, SiLU(x) is x, or 0 to all of float's digits.
constexpr float kMaxExponent = 87.0f;

// exp(x) for |x| <= kMaxExponent, relative error below 2e-7. Highway's serves
// infinities and denormals, too, for a third more time.
template <class D, class V = hn::Vec<D>>
HWY_INLINE V BoundedExp(D d, V x) {
  const hn::RebindToSigned<D> di;
  // x = n ln 2 + r, |r| <= ln 2 / 2; ln 2 in two parts keeps r exact.
  const auto n = hn::Round(hn::Mul(x, hn::Set(d, 1.44269504f)));
  auto r = hn::NegMulAdd(n, hn::Set(d, 0.693359375f), x);
  r = hn::NegMulAdd(n, hn::Set(d, -2.12194440e-4f), r);
  // exp(r) by its series, in two halves that do not wait for each other.
  const auto r2 = hn::Mul(r, r);
  const auto high =
      hn::MulAdd(hn::MulAdd(hn::Set(d, 1.0f / 720), r, hn::Set(d, 1.0f / 120)),
                 r, hn::Set(d, 1.0f / 24));
  const auto middle = hn::MulAdd(hn::Set(d, 1.0f / 6), r, hn::Set(d, 0.5f));
  const auto p = hn::MulAdd(hn::MulAdd(high, r2, middle), r2,
                            hn::Add(r, hn::Set(d, 1.0f)));
  // Times 2^n: n joins the exponent's bits.
  const auto shifted = hn::ShiftLeft<23>(hn::ConvertTo(di, n));
  return hn::BitCast(d, hn::Add(hn::BitCast(di, p), shifted));
}

template <class D, class V = hn::Vec<D>>
HWY_INLINE V SiluVector(D d, V x) {
  const auto bound = hn::Set(d, kMaxExponent);
  const auto exponent = hn::Clamp(hn::Neg(x), hn::Neg(bound), bound);
  return hn::Div(x, hn::Add(hn::Set(d, 1.0f), BoundedExp(d, exponent)));
}

template <class D>
HWY_INLINE float SumOfSquares(D d, const float* x, size_t width) {
  auto sum = hn::Zero(d);
  for (size_t i = 0; i < width; i += hn::Lanes(d)) {
    const auto v = hn::LoadU(d, x + i);
    sum = hn::MulAdd(v, v, sum);
  }
  return hn::GetLane(hn::SumOfLanes(d, sum));
}

HWY_INLINE float InverseRms(float sum_of_squares, size_t width) {
  return 1.0f /
         std::sqrt(sum_of_squares / static_cast<float>(width) + kNormEpsilon);
}

void RmsNorm(const float* x, const float* weight, size_t rows, size_t width,
             float* out) {
  WithTag(width, [&](auto d) {
    for (size_t row = 0; row < rows; ++row, x += width, out += width) {
      const auto inverse =
          hn::Set(d, InverseRms(SumOfSquares(d, x, width), width));
      for (size_t i = 0; i < width; i += hn::Lanes(d)) {
        const auto normed = hn::Mul(hn::LoadU(d, x + i), inverse);
        hn::StoreU(hn::Mul(normed, hn::LoadU(d, weight + i)), d, out + i);
      }
    }
  });
}

void RmsNormScaleShift(const float* x, const float* weight, const float* scale,
                       const float* shift, size_t rows, size_t width,
                       float* out) {
  WithTag(width, [&](auto d) {
    for (size_t row = 0; row < rows; ++row, x += width, out += width) {
      const auto inverse =
          hn::Set(d, InverseRms(SumOfSquares(d, x, width), width));
      for (size_t i = 0; i < width; i += hn::Lanes(d)) {
        const auto normed = hn::Mul(hn::Mul(hn::LoadU(d, x + i), inverse),
                                    hn::LoadU(d, weight + i));
        hn::StoreU(hn::MulAdd(normed, hn::LoadU(d, scale + i),
                              hn::LoadU(d, shift + i)),
                   d, out + i);
      }
    }
  });
}

void MultiplyAdd(const float* a, const float* b, size_t width, float* out) {
  WithTag(width, [&](auto d) {
    for (size_t i = 0; i < width; i += hn::Lanes(d)) {
      hn::StoreU(hn::MulAdd(hn::LoadU(d, a + i), hn::LoadU(d, b + i),
                            hn::LoadU(d, out + i)),
                 d, out + i);
    }
  });
}

void ScaleAdd(float scale, const float* a, size_t width, float* out) {
  WithTag(width, [&](auto d) {
    const auto factor = hn::Set(d, scale);
    for (size_t i = 0; i < width; i += hn::Lanes(d)) {
      hn::StoreU(hn::MulAdd(factor, hn::LoadU(d, a + i), hn::LoadU(d, out + i)),
                 d, out + i);
    }
  });
}

template <class D>
HWY_INLINE float DotWith(D d, const float* a, const float* b, size_t width) {
  auto sum = hn::Zero(d);
  for (size_t i = 0; i < width; i += hn::Lanes(d)) {
    sum = hn::MulAdd(hn::LoadU(d, a + i), hn::LoadU(d, b + i), sum);
  }
  return hn::GetLane(hn::SumOfLanes(d, sum));
}

float Dot(const float* a, const float* b, size_t width) {
  return WithTag(width, [&](auto d) { return DotWith(d, a, b, width); });
}

void Silu(size_t width, float* x) {
  WithTag(width, [&](auto d) {
    for (size_t i = 0; i < width; i += hn::Lanes(d)) {
      hn::StoreU(SiluVector(d, hn::LoadU(d, x + i)), d, x + i);
    }
  });
}

void GatedSilu(const float* pr, size_t rows, size_t width, float* out) {
  WithTag(width, [&](auto d) {
    for (size_t row = 0; row < rows; ++row, pr += 2 * width, out += width) {
      for (size_t i = 0; i < width; i += hn::Lanes(d)) {
        const auto gate = SiluVector(d, hn::LoadU(d, pr + width + i));
        hn::StoreU(hn::Mul(hn::LoadU(d, pr + i), gate), d, out + i);
      }
    }
  });
}

void Readout(const float* z, float scale, bool silu, size_t size, float* out) {
  WithTag(size, [&](auto d) {
    const auto factor = hn::Set(d, scale);
    for (size_t i = 0; i < size; i += hn::Lanes(d)) {
      const auto scaled = hn::Mul(factor, hn::LoadU(d, z + i));
      hn::StoreU(silu ? SiluVector(d, scaled) : scaled, d, out + i);
    }
  });
}

// From o of one head to its share of the output: norm, gate.
template <class D>
HWY_INLINE void NormAndGate(D d, const float* o, const float* weight,
                            const float* g, size_t width, float* out) {
  const auto inverse = hn::Set(d, InverseRms(SumOfSquares(d, o, width), width));
  for (size_t i = 0; i < width; i += hn::Lanes(d)) {
    const auto normed = hn::Mul(hn::Mul(hn::LoadU(d, o + i), inverse),
                                hn::LoadU(d, weight + i));
    hn::StoreU(hn::Mul(normed, SiluVector(d, hn::LoadU(d, g + i))), d, out + i);
  }
}

template <class D>
HWY_INLINE void SiluCopy(D d, const float* x, size_t width, float* out) {
  for (size_t i = 0; i < width; i += hn::Lanes(d)) {
    hn::StoreU(SiluVector(d, hn::LoadU(d, x + i)), d, out + i);
  }
}

// Widest head that the stack buffers below hold.
constexpr size_t kMaxHeadWidth = 1024;

// o = out + beta <q, k> v.
template <class D>
HWY_INLINE void AddDiagonalTerm(D d, const float* q, const float* k,
                                const float* v, float beta, size_t width,
                                float* o) {
  const auto weight = hn::Set(d, beta * DotWith(d, q, k, width));
  for (size_t i = 0; i < width; i += hn::Lanes(d)) {
    hn::StoreU(hn::MulAdd(weight, hn::LoadU(d, v + i), hn::LoadU(d, o + i)), d,
               o + i);
  }
}

void AttendShared(const float* qkvg, const float* readout, const float* beta,
                  const float* norm_head, HeadShape heads, size_t rows,
                  float* out) {
  const size_t width = heads.head_width, model = heads.num_heads * width;
  HWY_ALIGN float q[kMaxHeadWidth], k[kMaxHeadWidth], o[kMaxHeadWidth];
  WithTag(width, [&](auto d) {
    // Head by head, so that its readout stays in L1 for all rows.
    for (size_t head = 0; head < heads.num_heads; ++head) {
      const size_t offset = head * width;
      const float* m = readout + head * width * width;
      for (size_t row = 0; row < rows; ++row) {
        const float* in = qkvg + row * 4 * model + offset;
        SiluCopy(d, in, width, q);
        SiluCopy(d, in + model, width, k);
        Multiply(d, q, m, width, width, o);
        AddDiagonalTerm(d, q, k, in + 2 * model, beta[head], width, o);
        NormAndGate(d, o, norm_head + offset, in + 3 * model, width,
                    out + row * model + offset);
      }
    }
  });
}

// z <- decay z + k^T v, rows of z by key.
template <class D>
HWY_INLINE void FoldHead(D d, const float* k, const float* v, float decay,
                         size_t width, float* z) {
  const auto factor = hn::Set(d, decay);
  for (size_t i = 0; i < width; ++i, z += width) {
    const auto key = hn::Set(d, k[i]);
    for (size_t j = 0; j < width; j += hn::Lanes(d)) {
      const auto kept = hn::Mul(factor, hn::LoadU(d, z + j));
      hn::StoreU(hn::MulAdd(key, hn::LoadU(d, v + j), kept), d, z + j);
    }
  }
}

// o = q . SiLU(scale * z).
template <class D>
HWY_INLINE void MultiplyBySilu(D d, const float* q, const float* z, float scale,
                               size_t width, float* o) {
  const auto factor = hn::Set(d, scale);
  for (size_t j = 0; j < width; j += hn::Lanes(d)) {
    auto sum = hn::Zero(d);
    for (size_t i = 0; i < width; ++i) {
      const auto scaled = hn::Mul(factor, hn::LoadU(d, z + i * width + j));
      sum = hn::MulAdd(hn::Set(d, q[i]), SiluVector(d, scaled), sum);
    }
    hn::StoreU(sum, d, o + j);
  }
}

template <class D>
HWY_INLINE void ScaleInPlace(D d, float scale, size_t width, float* x) {
  const auto factor = hn::Set(d, scale);
  for (size_t i = 0; i < width; i += hn::Lanes(d)) {
    hn::StoreU(hn::Mul(factor, hn::LoadU(d, x + i)), d, x + i);
  }
}

void AttendAndFold(const float* qkvg, const EventLayer& layer, HeadShape heads,
                   float* z, float* c, float* out) {
  const size_t width = heads.head_width, model = heads.num_heads * width;
  HWY_ALIGN float q[kMaxHeadWidth], k[kMaxHeadWidth], o[kMaxHeadWidth];
  WithTag(width, [&](auto d) {
    for (size_t head = 0; head < heads.num_heads; ++head) {
      const size_t offset = head * width;
      const float* in = qkvg + offset;
      float* state = z + head * width * width;
      SiluCopy(d, in, width, q);
      SiluCopy(d, in + model, width, k);
      const float scale = layer.alpha[head] / std::max(c[head], 1.0f);
      if (layer.silu_phi2) {
        MultiplyBySilu(d, q, state, scale, width, o);
      } else {
        Multiply(d, q, state, width, width, o);
        ScaleInPlace(d, scale, width, o);
      }
      AddDiagonalTerm(d, q, k, in + 2 * model, layer.beta[head], width, o);
      NormAndGate(d, o, layer.norm_head + offset, in + 3 * model, width,
                  out + offset);
      FoldHead(d, k, in + 2 * model, layer.decay[head], width, state);
      c[head] = layer.decay[head] * c[head] + 1.0f;
    }
  });
}

void FoldOnly(const float* kv, const float* decay, HeadShape heads, float* z,
              float* c) {
  const size_t width = heads.head_width, model = heads.num_heads * width;
  HWY_ALIGN float k[kMaxHeadWidth];
  WithTag(width, [&](auto d) {
    for (size_t head = 0; head < heads.num_heads; ++head) {
      const float* in = kv + head * width;
      SiluCopy(d, in, width, k);
      FoldHead(d, k, in + model, decay[head], width, z + head * width * width);
      c[head] = decay[head] * c[head] + 1.0f;
    }
  });
}

float HeadLogit(const float* hidden, const float* b1, const float* w2,
                size_t width) {
  return WithTag(width, [&](auto d) {
    auto sum = hn::Zero(d);
    for (size_t i = 0; i < width; i += hn::Lanes(d)) {
      const auto h = hn::Add(hn::LoadU(d, hidden + i), hn::LoadU(d, b1 + i));
      sum = hn::MulAdd(SiluVector(d, h), hn::LoadU(d, w2 + i), sum);
    }
    return hn::GetLane(hn::SumOfLanes(d, sum));
  });
}

const char* TargetName() { return hwy::TargetName(HWY_TARGET); }

}  // namespace qlarank::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace qlarank::kernels {

HWY_EXPORT(RmsNorm);
HWY_EXPORT(RmsNormScaleShift);
HWY_EXPORT(MultiplyAdd);
HWY_EXPORT(ScaleAdd);
HWY_EXPORT(Dot);
HWY_EXPORT(Silu);
HWY_EXPORT(GatedSilu);
HWY_EXPORT(Readout);
HWY_EXPORT(AttendShared);
HWY_EXPORT(AttendAndFold);
HWY_EXPORT(FoldOnly);
HWY_EXPORT(HeadLogit);
HWY_EXPORT(TargetName);

void RmsNorm(const float* x, const float* weight, size_t rows, size_t width,
             float* out) {
  HWY_DYNAMIC_DISPATCH(RmsNorm)(x, weight, rows, width, out);
}

void RmsNormScaleShift(const float* x, const float* weight, const float* scale,
                       const float* shift, size_t rows, size_t width,
                       float* out) {
  HWY_DYNAMIC_DISPATCH(RmsNormScaleShift)
  (x, weight, scale, shift, rows, width, out);
}

void MultiplyAdd(const float* a, const float* b, size_t width, float* out) {
  HWY_DYNAMIC_DISPATCH(MultiplyAdd)(a, b, width, out);
}

void ScaleAdd(float scale, const float* a, size_t width, float* out) {
  HWY_DYNAMIC_DISPATCH(ScaleAdd)(scale, a, width, out);
}

float Dot(const float* a, const float* b, size_t width) {
  return HWY_DYNAMIC_DISPATCH(Dot)(a, b, width);
}

void Silu(size_t width, float* x) { HWY_DYNAMIC_DISPATCH(Silu)(width, x); }

void GatedSilu(const float* pr, size_t rows, size_t width, float* out) {
  HWY_DYNAMIC_DISPATCH(GatedSilu)(pr, rows, width, out);
}

void Readout(const float* z, float scale, bool silu, size_t size, float* out) {
  HWY_DYNAMIC_DISPATCH(Readout)(z, scale, silu, size, out);
}

void AttendShared(const float* qkvg, const float* readout, const float* beta,
                  const float* norm_head, HeadShape heads, size_t rows,
                  float* out) {
  HWY_DYNAMIC_DISPATCH(AttendShared)
  (qkvg, readout, beta, norm_head, heads, rows, out);
}

void AttendAndFold(const float* qkvg, const EventLayer& layer, HeadShape heads,
                   float* z, float* c, float* out) {
  HWY_DYNAMIC_DISPATCH(AttendAndFold)(qkvg, layer, heads, z, c, out);
}

void FoldOnly(const float* kv, const float* decay, HeadShape heads, float* z,
              float* c) {
  HWY_DYNAMIC_DISPATCH(FoldOnly)(kv, decay, heads, z, c);
}

float HeadLogit(const float* hidden, const float* b1, const float* w2,
                size_t width) {
  return HWY_DYNAMIC_DISPATCH(HeadLogit)(hidden, b1, w2, width);
}

std::string NumericsTag() { return HWY_DYNAMIC_DISPATCH(TargetName)(); }

}  // namespace qlarank::kernels
#endif  // HWY_ONCE
