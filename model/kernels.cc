#include "model/kernels.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "hwy/cache_control.h"

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

// exp(-x) for |x| <= kMaxExponent: relative error below 2e-7 (1 + |x| / 8),
// where Highway's exp serves infinities and denormals, too, for twice the time.
template <class D, class V = hn::Vec<D>>
HWY_INLINE V BoundedExpOfNegative(D d, V x) {
  const hn::RebindToSigned<D> di;
  // exp(-x) = 2^(n + f), n whole, |f| <= 1/2. Adding 1.5 * 2^23 rounds to n and
  // leaves it in the lowest bits.
  const auto shifter = hn::Set(d, 12582912.0f);
  const auto minus_log2_e = hn::Set(d, -1.44269504f);
  const auto shifted = hn::MulAdd(x, minus_log2_e, shifter);
  const auto n = hn::Sub(shifted, shifter);
  const auto f = hn::MulSub(x, minus_log2_e, n);
  // 2^f by the polynomial of degree 6 with the least relative error, 2e-9, in
  // parts that do not wait for each other.
  const auto f2 = hn::Mul(f, f);
  const auto high = hn::MulAdd(
      hn::MulAdd(hn::Set(d, 1.535330957e-04f), f, hn::Set(d, 1.339893905e-03f)),
      f, hn::Set(d, 9.618437849e-03f));
  const auto middle =
      hn::MulAdd(hn::Set(d, 5.550332367e-02f), f, hn::Set(d, 2.402264774e-01f));
  const auto low =
      hn::MulAdd(hn::Set(d, 6.931471825e-01f), f, hn::Set(d, 1.0f));
  const auto p = hn::MulAdd(hn::MulAdd(high, f2, middle), f2, low);
  // Times 2^n: n joins the exponent's bits.
  const auto exponent = hn::ShiftLeft<23>(hn::BitCast(di, shifted));
  return hn::BitCast(d, hn::Add(hn::BitCast(di, p), exponent));
}

template <class D, class V = hn::Vec<D>>
HWY_INLINE V SiluVector(D d, V x) {
  const auto bound = hn::Set(d, kMaxExponent);
  const auto exponent = hn::Clamp(x, hn::Neg(bound), bound);
  return hn::Div(x,
                 hn::Add(hn::Set(d, 1.0f), BoundedExpOfNegative(d, exponent)));
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

// Rows that are taken side by side, so that none waits for another row's sums;
// a multiple of every vector's lanes.
constexpr size_t kRowBlock = 16;

// factors[i] = 1 / RMS of a row whose squares sum to sums[i]; kRowBlock of
// them, in as few square roots and divisions as vectors allow.
HWY_INLINE void InverseRmsOfBlock(const float* sums, size_t width,
                                  float* factors) {
  const Wide d;
  const auto inverse_width = hn::Set(d, static_cast<float>(width));
  for (size_t i = 0; i < kRowBlock; i += hn::Lanes(d)) {
    const auto mean = hn::Div(hn::Load(d, sums + i), inverse_width);
    const auto rms = hn::Sqrt(hn::Add(mean, hn::Set(d, kNormEpsilon)));
    hn::Store(hn::Div(hn::Set(d, 1.0f), rms), d, factors + i);
  }
}

// Calls store(row, i, normed vector) for RMSNorm(x; weight), [rows, width].
template <class D, class Store>
HWY_INLINE void NormRows(D d, const float* x, const float* weight, size_t rows,
                         size_t width, Store&& store) {
  HWY_ALIGN float sums[kRowBlock] = {};
  HWY_ALIGN float inverses[kRowBlock];
  for (size_t first = 0; first < rows; first += kRowBlock) {
    const size_t end = std::min(rows, first + kRowBlock);
    for (size_t row = first; row < end; ++row) {
      sums[row - first] = SumOfSquares(d, x + row * width, width);
    }
    InverseRmsOfBlock(sums, width, inverses);
    for (size_t row = first; row < end; ++row) {
      const auto inverse = hn::Set(d, inverses[row - first]);
      for (size_t i = 0; i < width; i += hn::Lanes(d)) {
        const auto normed = hn::Mul(hn::LoadU(d, x + row * width + i), inverse);
        store(row, i, hn::Mul(normed, hn::LoadU(d, weight + i)));
      }
    }
  }
}

void RmsNorm(const float* x, const float* weight, size_t rows, size_t width,
             float* out) {
  WithTag(width, [&](auto d) {
    NormRows(d, x, weight, rows, width, [&](size_t row, size_t i, auto normed) {
      hn::StoreU(normed, d, out + row * width + i);
    });
  });
}

void RmsNormScaleShift(const float* x, const float* weight, const float* scale,
                       const float* shift, size_t rows, size_t width,
                       float* out) {
  WithTag(width, [&](auto d) {
    NormRows(d, x, weight, rows, width, [&](size_t row, size_t i, auto normed) {
      hn::StoreU(
          hn::MulAdd(normed, hn::LoadU(d, scale + i), hn::LoadU(d, shift + i)),
          d, out + row * width + i);
    });
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

void CandidateRows(const CandidateItems& items, const float* shared,
                   const float* user, size_t width, float* x, float* dots) {
  // Far enough ahead for a row to come from memory meanwhile.
  constexpr size_t kRowsAhead = 6;
  constexpr size_t kLineFloats = 16;
  const auto fetch = [&](size_t row) {
    const float* item = items.embedding + items.rows[row] * width;
    for (size_t i = 0; i < width; i += kLineFloats) hwy::Prefetch(item + i);
  };
  for (size_t row = 0; row < std::min(kRowsAhead, items.count); ++row) {
    fetch(row);
  }
  WithTag(width, [&](auto d) {
    const auto scale = hn::Set(d, items.scale);
    for (size_t row = 0; row < items.count; ++row, x += width) {
      if (row + kRowsAhead < items.count) fetch(row + kRowsAhead);
      const float* item = items.embedding + items.rows[row] * width;
      auto dot = hn::Zero(d);
      for (size_t i = 0; i < width; i += hn::Lanes(d)) {
        const auto value = hn::LoadU(d, item + i);
        hn::StoreU(hn::MulAdd(scale, value, hn::LoadU(d, shared + i)), d,
                   x + i);
        dot = hn::MulAdd(hn::LoadU(d, user + i), value, dot);
      }
      dots[row] = hn::GetLane(hn::SumOfLanes(d, dot));
    }
  });
}

void Silu(size_t width, float* x) {
  WithTag(width, [&](auto d) {
    for (size_t i = 0; i < width; i += hn::Lanes(d)) {
      hn::StoreU(SiluVector(d, hn::LoadU(d, x + i)), d, x + i);
    }
  });
}

// What rows of a product are multiplied by as they are loaded, if anything
//.
template <bool kScaled, class D>
HWY_INLINE hn::Vec<D> LoadScaled(D d, const float* x, hn::Vec<D> scale) {
  const auto value = hn::LoadU(d, x);
  if constexpr (kScaled) return hn::Mul(value, scale);
  return value;
}

template <bool kScaled, class D>
HWY_INLINE hn::Vec<D> ScaleOf(D d, const float* row_scales, size_t row) {
  return hn::Set(d, kScaled ? row_scales[row] : 1.0f);
}

template <bool kScaled, class D>
HWY_INLINE void GatedSiluRows(D d, const float* pr, const float* row_scales,
                              size_t rows, size_t width, float* out) {
  for (size_t row = 0; row < rows; ++row, pr += 2 * width, out += width) {
    const auto scale = ScaleOf<kScaled>(d, row_scales, row);
    for (size_t i = 0; i < width; i += hn::Lanes(d)) {
      const auto gate =
          SiluVector(d, LoadScaled<kScaled>(d, pr + width + i, scale));
      hn::StoreU(hn::Mul(LoadScaled<kScaled>(d, pr + i, scale), gate), d,
                 out + i);
    }
  }
}

void GatedSilu(const float* pr, const float* row_scales, size_t rows,
               size_t width, float* out) {
  WithTag(width, [&](auto d) {
    if (row_scales != nullptr) {
      GatedSiluRows<true>(d, pr, row_scales, rows, width, out);
    } else {
      GatedSiluRows<false>(d, pr, row_scales, rows, width, out);
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

// One head of AttendShared for at most kRowBlock rows, in steps over all of
// them. in, norm_head and out begin at the head's columns.
template <bool kScaled, class D>
HWY_INLINE void AttendSharedBlock(D d, const float* in, const float* row_scales,
                                  const float* m, float beta,
                                  const float* norm_head, HeadShape heads,
                                  size_t rows, float* out) {
  const size_t width = heads.head_width, model = heads.num_heads * width;
  HWY_ALIGN float q[kRowBlock * kMaxHeadWidth];
  HWY_ALIGN float weights[kRowBlock];    // beta <q, k>
  HWY_ALIGN float sums[kRowBlock] = {};  // of the squares of o
  HWY_ALIGN float inverses[kRowBlock];
  for (size_t row = 0; row < rows; ++row) {
    const float* q_in = in + row * 4 * model;
    const auto scale = ScaleOf<kScaled>(d, row_scales, row);
    auto dot = hn::Zero(d);
    for (size_t i = 0; i < width; i += hn::Lanes(d)) {
      const auto query = SiluVector(d, LoadScaled<kScaled>(d, q_in + i, scale));
      const auto key =
          SiluVector(d, LoadScaled<kScaled>(d, q_in + model + i, scale));
      hn::StoreU(query, d, q + row * width + i);
      dot = hn::MulAdd(query, key, dot);
    }
    weights[row] = beta * hn::GetLane(hn::SumOfLanes(d, dot));
  }
  size_t done = 0;
  for (; done + 4 <= rows; done += 4) {
    MultiplyRows<4>(d, q + done * width, width, m, width, width, model,
                    out + done * model);
  }
  for (; done < rows; ++done) {
    Multiply(d, q + done * width, m, width, width, out + done * model);
  }
  for (size_t row = 0; row < rows; ++row) {
    float* o = out + row * model;
    const float* v = in + row * 4 * model + 2 * model;
    const auto weight = hn::Set(d, weights[row]);
    const auto scale = ScaleOf<kScaled>(d, row_scales, row);
    auto sum = hn::Zero(d);
    for (size_t i = 0; i < width; i += hn::Lanes(d)) {
      const auto x = hn::MulAdd(weight, LoadScaled<kScaled>(d, v + i, scale),
                                hn::LoadU(d, o + i));
      hn::StoreU(x, d, o + i);
      sum = hn::MulAdd(x, x, sum);
    }
    sums[row] = hn::GetLane(hn::SumOfLanes(d, sum));
  }
  InverseRmsOfBlock(sums, width, inverses);
  for (size_t row = 0; row < rows; ++row) {
    float* o = out + row * model;
    const float* g = in + row * 4 * model + 3 * model;
    const auto inverse = hn::Set(d, inverses[row]);
    const auto scale = ScaleOf<kScaled>(d, row_scales, row);
    for (size_t i = 0; i < width; i += hn::Lanes(d)) {
      const auto normed = hn::Mul(hn::Mul(hn::LoadU(d, o + i), inverse),
                                  hn::LoadU(d, norm_head + i));
      hn::StoreU(
          hn::Mul(normed, SiluVector(d, LoadScaled<kScaled>(d, g + i, scale))),
          d, o + i);
    }
  }
}

template <bool kScaled, class D>
HWY_INLINE void AttendSharedRows(D d, const float* qkvg,
                                 const float* row_scales, const float* readout,
                                 const float* beta, const float* norm_head,
                                 HeadShape heads, size_t rows, float* out) {
  const size_t width = heads.head_width, model = heads.num_heads * width;
  // Head by head, so that its readout stays in L1 for all rows.
  for (size_t head = 0; head < heads.num_heads; ++head) {
    const size_t offset = head * width;
    const float* m = readout + head * width * width;
    for (size_t row = 0; row < rows; row += kRowBlock) {
      AttendSharedBlock<kScaled>(d, qkvg + row * 4 * model + offset,
                                 kScaled ? row_scales + row : nullptr, m,
                                 beta[head], norm_head + offset, heads,
                                 std::min(kRowBlock, rows - row),
                                 out + row * model + offset);
    }
  }
}

void AttendShared(const float* qkvg, const float* row_scales,
                  const float* readout, const float* beta,
                  const float* norm_head, HeadShape heads, size_t rows,
                  float* out) {
  WithTag(heads.head_width, [&](auto d) {
    if (row_scales != nullptr) {
      AttendSharedRows<true>(d, qkvg, row_scales, readout, beta, norm_head,
                             heads, rows, out);
    } else {
      AttendSharedRows<false>(d, qkvg, row_scales, readout, beta, norm_head,
                              heads, rows, out);
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
HWY_EXPORT(CandidateRows);
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

void CandidateRows(const CandidateItems& items, const float* shared,
                   const float* user, size_t width, float* x, float* dots) {
  HWY_DYNAMIC_DISPATCH(CandidateRows)(items, shared, user, width, x, dots);
}

void Silu(size_t width, float* x) { HWY_DYNAMIC_DISPATCH(Silu)(width, x); }

void GatedSilu(const float* pr, const float* row_scales, size_t rows,
               size_t width, float* out) {
  HWY_DYNAMIC_DISPATCH(GatedSilu)(pr, row_scales, rows, width, out);
}

void Readout(const float* z, float scale, bool silu, size_t size, float* out) {
  HWY_DYNAMIC_DISPATCH(Readout)(z, scale, silu, size, out);
}

void AttendShared(const float* qkvg, const float* row_scales,
                  const float* readout, const float* beta,
                  const float* norm_head, HeadShape heads, size_t rows,
                  float* out) {
  HWY_DYNAMIC_DISPATCH(AttendShared)
  (qkvg, row_scales, readout, beta, norm_head, heads, rows, out);
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
