// The attention kernels: what candidates and events read of a state, and the
// fold of events into it (docs/model.md section 3).

#include <algorithm>

#include "model/kernels.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "model/attention_kernels.cc"
#include "hwy/foreach_target.h"
// Must follow foreach_target.h.
#include "hwy/highway.h"
#include "model/kernels-inl.h"

HWY_BEFORE_NAMESPACE();
namespace qlarank::kernels::HWY_NAMESPACE {

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
template <class D>
HWY_INLINE void AttendSharedBlock(D d, const float* in, const float* m,
                                  float beta, const float* norm_head,
                                  HeadShape heads, size_t rows, float* out) {
  const size_t width = heads.head_width, model = heads.num_heads * width;
  HWY_ALIGN float q[kRowBlock * kMaxHeadWidth];
  HWY_ALIGN float weights[kRowBlock];    // beta <q, k>
  HWY_ALIGN float sums[kRowBlock] = {};  // of the squares of o
  HWY_ALIGN float inverses[kRowBlock];
  for (size_t row = 0; row < rows; ++row) {
    const float* q_in = in + row * 4 * model;
    auto dot = hn::Zero(d);
    for (size_t i = 0; i < width; i += hn::Lanes(d)) {
      const auto query = SiluVector(d, hn::LoadU(d, q_in + i));
      const auto key = SiluVector(d, hn::LoadU(d, q_in + model + i));
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
    auto sum = hn::Zero(d);
    for (size_t i = 0; i < width; i += hn::Lanes(d)) {
      const auto x =
          hn::MulAdd(weight, hn::LoadU(d, v + i), hn::LoadU(d, o + i));
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
    for (size_t i = 0; i < width; i += hn::Lanes(d)) {
      const auto normed = hn::Mul(hn::Mul(hn::LoadU(d, o + i), inverse),
                                  hn::LoadU(d, norm_head + i));
      hn::StoreU(hn::Mul(normed, SiluVector(d, hn::LoadU(d, g + i))), d, o + i);
    }
  }
}

void AttendShared(const float* qkvg, const float* readout, const float* beta,
                  const float* norm_head, HeadShape heads, size_t rows,
                  float* out) {
  const size_t width = heads.head_width, model = heads.num_heads * width;
  WithTag(width, [&](auto d) {
    // Head by head, so that its readout stays in L1 for all rows.
    for (size_t head = 0; head < heads.num_heads; ++head) {
      const size_t offset = head * width;
      const float* m = readout + head * width * width;
      for (size_t row = 0; row < rows; row += kRowBlock) {
        AttendSharedBlock(d, qkvg + row * 4 * model + offset, m, beta[head],
                          norm_head + offset, heads,
                          std::min(kRowBlock, rows - row),
                          out + row * model + offset);
      }
    }
  });
}

// kVectors vectors of z's columns: z <- decay z + k^T v, rows of z by key.
// Where kReads, o = q . z of the z before, summed as MultiplyBlock does: z is
// fetched once for both. z, v and o begin at the columns.
template <size_t kVectors, bool kReads, class D>
HWY_INLINE void FoldColumns(D d, const float* q, const float* k, const float* v,
                            float decay, size_t width, float* z, float* o) {
  const size_t lanes = hn::Lanes(d);
  const auto factor = hn::Set(d, decay);
  hn::Vec<D> values[kVectors], sums[2][kVectors];
  for (size_t j = 0; j < kVectors; ++j) {
    values[j] = hn::LoadU(d, v + j * lanes);
    sums[0][j] = sums[1][j] = hn::Zero(d);
  }
  for (size_t i = 0; i < width; i += 2) {
    for (size_t odd = 0; odd < 2; ++odd, z += width) {
      const auto key = hn::Set(d, k[i + odd]);
      for (size_t j = 0; j < kVectors; ++j) {
        const auto before = hn::LoadU(d, z + j * lanes);
        if constexpr (kReads) {
          sums[odd][j] =
              hn::MulAdd(hn::Set(d, q[i + odd]), before, sums[odd][j]);
        }
        hn::StoreU(hn::MulAdd(key, values[j], hn::Mul(factor, before)), d,
                   z + j * lanes);
      }
    }
  }
  if constexpr (kReads) {
    for (size_t j = 0; j < kVectors; ++j) {
      hn::StoreU(hn::Add(sums[0][j], sums[1][j]), d, o + j * lanes);
    }
  }
}

// FoldColumns for all columns of a head; q and o are not used unless kReads.
template <bool kReads, class D>
HWY_INLINE void FoldHead(D d, const float* q, const float* k, const float* v,
                         float decay, size_t width, float* z, float* o) {
  const size_t lanes = hn::Lanes(d);
  const auto out = [o](size_t column) { return kReads ? o + column : nullptr; };
  size_t column = 0;
  for (; column + 2 * lanes <= width; column += 2 * lanes) {
    FoldColumns<2, kReads>(d, q, k, v + column, decay, width, z + column,
                           out(column));
  }
  for (; column < width; column += lanes) {
    FoldColumns<1, kReads>(d, q, k, v + column, decay, width, z + column,
                           out(column));
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
      const float* v = in + 2 * model;
      const float decay = layer.decay[head];
      if (layer.silu_phi2) {
        MultiplyBySilu(d, q, state, scale, width, o);
        FoldHead</*kReads=*/false>(d, q, k, v, decay, width, state, o);
      } else {
        FoldHead</*kReads=*/true>(d, q, k, v, decay, width, state, o);
        ScaleInPlace(d, scale, width, o);
      }
      AddDiagonalTerm(d, q, k, v, layer.beta[head], width, o);
      NormAndGate(d, o, layer.norm_head + offset, in + 3 * model, width,
                  out + offset);
      c[head] = decay * c[head] + 1.0f;
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
      FoldHead</*kReads=*/false>(d, nullptr, k, in + model, decay[head], width,
                                 z + head * width * width, nullptr);
      c[head] = decay[head] * c[head] + 1.0f;
    }
  });
}

}  // namespace qlarank::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace qlarank::kernels {

HWY_EXPORT(Readout);
HWY_EXPORT(AttendShared);
HWY_EXPORT(AttendAndFold);
HWY_EXPORT(FoldOnly);

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

}  // namespace qlarank::kernels
#endif  // HWY_ONCE
