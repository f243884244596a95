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
                            const float* gate, size_t width, float* out) {
  const auto inverse = hn::Set(d, InverseRms(SumOfSquares(d, o, width), width));
  for (size_t i = 0; i < width; i += hn::Lanes(d)) {
    const auto normed = hn::Mul(hn::Mul(hn::LoadU(d, o + i), inverse),
                                hn::LoadU(d, weight + i));
    hn::StoreU(hn::Mul(normed, hn::LoadU(d, gate + i)), d, out + i);
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
    hn::StoreU(Fma(weight, hn::LoadU(d, v + i), hn::LoadU(d, o + i)), d, o + i);
  }
}

// One head of AttendShared for at most kRowBlock rows, in steps over all of
// them. in, norm_head and out begin at the head's columns.
template <class D>
HWY_INLINE void AttendSharedBlock(D d, const float* in, const float* m,
                                  float beta, const float* norm_head,
                                  HeadShape heads, size_t rows, float* out) {
  const size_t width = heads.head_width, model = heads.num_heads * width;
  const size_t stride = 4 * model;
  HWY_ALIGN float sums[kRowBlock] = {};  // of the squares of o
  HWY_ALIGN float inverses[kRowBlock];
  size_t done = 0;
  for (; done + 4 <= rows; done += 4) {
    MultiplyRows<4>(d, in + done * stride, stride, m, width, width, model,
                    out + done * model);
  }
  for (; done < rows; ++done) {
    Multiply(d, in + done * stride, m, width, width, out + done * model);
  }
  for (size_t row = 0; row < rows; ++row) {
    const float* q = in + row * stride;
    const float* v = q + 2 * model;
    float* o = out + row * model;
    const auto weight = hn::Set(d, beta * DotWith(d, q, q + model, width));
    sums[row] = SumRow(d, width, [&](size_t i, auto sum) {
      const auto x = Fma(weight, hn::LoadU(d, v + i), hn::LoadU(d, o + i));
      hn::StoreU(x, d, o + i);
      return Fma(x, x, sum);
    });
  }
  InverseRmsOfBlock(sums, width, inverses);
  for (size_t row = 0; row < rows; ++row) {
    float* o = out + row * model;
    const float* gate = in + row * stride + 3 * model;
    const auto inverse = hn::Set(d, inverses[row]);
    for (size_t i = 0; i < width; i += hn::Lanes(d)) {
      const auto normed = hn::Mul(hn::Mul(hn::LoadU(d, o + i), inverse),
                                  hn::LoadU(d, norm_head + i));
      hn::StoreU(hn::Mul(normed, hn::LoadU(d, gate + i)), d, o + i);
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

// kVectors vectors of z's columns: after = z - loss z + k^T v, rows by key.
// A decay near 1 has few digits in float32; what it takes has all of them. And
// z is rounded once, after the event has come in: decayed by itself it would be
// rounded in the same direction again and again.
// Where kReads, o = q . z of the z before, summed as MultiplyBlock does: z is
// fetched once for both. z, v, after and o begin at the columns; after may be
// z.
template <size_t kVectors, bool kReads, class D>
HWY_INLINE void FoldColumns(D d, const float* q, const float* k, const float* v,
                            float loss, size_t width, const float* z,
                            float* after, float* o) {
  const size_t lanes = hn::Lanes(d);
  const auto minus_loss = hn::Set(d, -loss);
  hn::Vec<D> values[kVectors], sums[2][kVectors];
  for (size_t j = 0; j < kVectors; ++j) {
    values[j] = hn::LoadU(d, v + j * lanes);
    sums[0][j] = sums[1][j] = hn::Zero(d);
  }
  for (size_t i = 0; i < width; i += 2) {
    for (size_t odd = 0; odd < 2; ++odd, z += width, after += width) {
      const auto key = hn::Set(d, k[i + odd]);
      for (size_t j = 0; j < kVectors; ++j) {
        const auto before = hn::LoadU(d, z + j * lanes);
        if constexpr (kReads) {
          sums[odd][j] = Fma(hn::Set(d, q[i + odd]), before, sums[odd][j]);
        }
        const auto change = Fma(minus_loss, before, hn::Mul(key, values[j]));
        hn::StoreU(hn::Add(before, change), d, after + j * lanes);
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
                         float loss, size_t width, const float* z, float* after,
                         float* o) {
  const size_t lanes = hn::Lanes(d);
  const auto out = [o](size_t column) { return kReads ? o + column : nullptr; };
  size_t column = 0;
  for (; column + 2 * lanes <= width; column += 2 * lanes) {
    FoldColumns<2, kReads>(d, q, k, v + column, loss, width, z + column,
                           after + column, out(column));
  }
  for (; column < width; column += lanes) {
    FoldColumns<1, kReads>(d, q, k, v + column, loss, width, z + column,
                           after + column, out(column));
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
      sum = Fma(hn::Set(d, q[i]), SiluVector(d, scaled), sum);
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

void AttendAndFold(const float* qkvg, const EventLayer& layer,
                   const float* scales, HeadShape heads, const float* z,
                   float* after, float* out) {
  const size_t width = heads.head_width, model = heads.num_heads * width;
  HWY_ALIGN float o[kMaxHeadWidth];
  WithTag(width, [&](auto d) {
    for (size_t head = 0; head < heads.num_heads; ++head) {
      const size_t offset = head * width;
      const float* q = qkvg + offset;
      const float* k = q + model;
      const float* v = k + model;
      const float* gate = v + model;
      const float* z_head = z + head * width * width;
      float* after_head = after + head * width * width;
      const float loss = layer.loss[head];
      if (layer.silu_phi2) {
        MultiplyBySilu(d, q, z_head, scales[head], width, o);
        FoldHead</*kReads=*/false>(d, q, k, v, loss, width, z_head, after_head,
                                   o);
      } else {
        FoldHead</*kReads=*/true>(d, q, k, v, loss, width, z_head, after_head,
                                  o);
        ScaleInPlace(d, scales[head], width, o);
      }
      AddDiagonalTerm(d, q, k, v, layer.beta[head], width, o);
      NormAndGate(d, o, layer.norm_head + offset, gate, width, out + offset);
    }
  });
}

void FoldOnly(const float* kv, const float* loss, HeadShape heads,
              const float* z, float* after) {
  const size_t width = heads.head_width, model = heads.num_heads * width;
  WithTag(width, [&](auto d) {
    for (size_t head = 0; head < heads.num_heads; ++head) {
      const float* k = kv + head * width;
      FoldHead</*kReads=*/false>(d, nullptr, k, k + model, loss[head], width,
                                 z + head * width * width,
                                 after + head * width * width, nullptr);
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

void AttendAndFold(const float* qkvg, const EventLayer& layer,
                   const float* scales, HeadShape heads, const float* z,
                   float* after, float* out) {
  HWY_DYNAMIC_DISPATCH(AttendAndFold)
  (qkvg, layer, scales, heads, z, after, out);
}

void FoldOnly(const float* kv, const float* loss, HeadShape heads,
              const float* z, float* after) {
  HWY_DYNAMIC_DISPATCH(FoldOnly)(kv, loss, heads, z, after);
}

}  // namespace qlarank::kernels
#endif  // HWY_ONCE
