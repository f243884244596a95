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

HWY_BEFORE_NAMESPACE();
namespace qlarank::kernels::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// At most 8 lanes, or all of 16 where the width allows: every width is a
// multiple of 8, so no kernel has a remainder loop.
using Narrow = hn::CappedTag<float, 8>;
using Wide = hn::CappedTag<float, 16>;

constexpr float kNormEpsilon = 1e-6f;
// exp(88) is the largest power that float holds; SiLU is 0 well before.
constexpr float kMaxExponent = 88.0f;

// Calls f with the widest tag whose lanes divide `width`.
template <class F>
HWY_INLINE auto WithTag(size_t width, F&& f) {
  if (width % hn::Lanes(Wide()) == 0) return f(Wide());
  return f(Narrow());
}

template <class D, class V = hn::Vec<D>>
HWY_INLINE V SiluVector(D d, V x) {
  const V exponent = hn::Min(hn::Neg(x), hn::Set(d, kMaxExponent));
  return hn::Div(x, hn::Add(hn::Set(d, 1.0f), hn::Exp(d, exponent)));
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

// x <- exp(scale (x - max x)); returns the sum. width: a multiple of the lanes.
template <class D>
HWY_INLINE float ExpInPlace(D d, float scale, size_t width, float* x) {
  auto highest = hn::LoadU(d, x);
  for (size_t i = hn::Lanes(d); i < width; i += hn::Lanes(d)) {
    highest = hn::Max(highest, hn::LoadU(d, x + i));
  }
  const auto shift = hn::MaxOfLanes(d, highest), factor = hn::Set(d, scale);
  auto sum = hn::Zero(d);
  for (size_t i = 0; i < width; i += hn::Lanes(d)) {
    const auto exponent = hn::Mul(factor, hn::Sub(hn::LoadU(d, x + i), shift));
    const auto power = hn::Exp(d, exponent);
    hn::StoreU(power, d, x + i);
    sum = hn::Add(sum, power);
  }
  return hn::GetLane(hn::SumOfLanes(d, sum));
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
        even[r] = hn::MulAdd(hn::Set(d, w[0]), m0, even[r]);
        odd[r] = hn::MulAdd(hn::Set(d, w[1]), m1, odd[r]);
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
HWY_EXPORT(AttendSummaries);
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

void AttendSummaries(const float* q, const SummaryHeads& summary,
                     HeadShape heads, size_t rows, float* out) {
  HWY_DYNAMIC_DISPATCH(AttendSummaries)(q, summary, heads, rows, out);
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
