#include "model/kernels.h"

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "model/prefetch_row.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "model/kernels.cc"
#include "hwy/foreach_target.h"
// Must follow foreach_target.h.
#include "hwy/highway.h"
#include "model/kernels-inl.h"

HWY_BEFORE_NAMESPACE();
namespace qlarank::kernels::HWY_NAMESPACE {
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
      hn::StoreU(Fma(normed, hn::LoadU(d, scale + i), hn::LoadU(d, shift + i)),
                 d, out + row * width + i);
    });
  });
}

void MultiplyAdd(const float* a, const float* b, size_t width, float* out) {
  WithTag(width, [&](auto d) {
    for (size_t i = 0; i < width; i += hn::Lanes(d)) {
      hn::StoreU(
          Fma(hn::LoadU(d, a + i), hn::LoadU(d, b + i), hn::LoadU(d, out + i)),
          d, out + i);
    }
  });
}

void MixWindow(const float* conv, const float* n, const float* window,
               size_t conv_width, size_t width, float* after, float* mixed) {
  WithTag(width, [&](auto d) {
    for (size_t i = 0; i < width; i += hn::Lanes(d)) {
      auto sum = hn::Zero(d);
      for (size_t age = conv_width - 1; age > 0; --age) {
        const auto past = hn::LoadU(d, window + (age - 1) * width + i);
        sum = Fma(hn::LoadU(d, conv + age * width + i), past, sum);
        if (age + 1 < conv_width) hn::StoreU(past, d, after + age * width + i);
      }
      const auto newest = hn::LoadU(d, n + i);
      hn::StoreU(newest, d, after + i);
      hn::StoreU(Fma(hn::LoadU(d, conv + i), newest, sum), d, mixed + i);
    }
  });
}

void SumOfRows(const float* const* rows, const float* scales, size_t num_rows,
               size_t width, float* out) {
  WithTag(width, [&](auto d) {
    for (size_t i = 0; i < width; i += hn::Lanes(d)) {
      auto sum = hn::Zero(d);
      for (size_t row = 0; row < num_rows; ++row) {
        sum = Fma(hn::Set(d, scales[row]), hn::LoadU(d, rows[row] + i), sum);
      }
      hn::StoreU(sum, d, out + i);
    }
  });
}

void ScaleAdd(float scale, const float* a, size_t width, float* out) {
  WithTag(width, [&](auto d) {
    const auto factor = hn::Set(d, scale);
    for (size_t i = 0; i < width; i += hn::Lanes(d)) {
      hn::StoreU(Fma(factor, hn::LoadU(d, a + i), hn::LoadU(d, out + i)), d,
                 out + i);
    }
  });
}

void AddScaledRows(const float* scales, const float* rows, size_t num_rows,
                   size_t width, float* out) {
  WithTag(width, [&](auto d) {
    for (size_t i = 0; i < width; i += hn::Lanes(d)) {
      auto sum = hn::LoadU(d, out + i);
      for (size_t row = 0; row < num_rows; ++row) {
        sum = Fma(hn::Set(d, scales[row]), hn::LoadU(d, rows + row * width + i),
                  sum);
      }
      hn::StoreU(sum, d, out + i);
    }
  });
}

// A value that is not finite has the largest exponent there is.
bool AllFinite(const float* values, size_t size) {
  const hn::ScalableTag<float> d;
  const hn::RebindToUnsigned<decltype(d)> bits;
  const size_t lanes = hn::Lanes(d);
  const auto exponent = hn::Set(bits, uint32_t{0x7F800000});
  auto most0 = hn::Zero(bits);
  auto most1 = hn::Zero(bits);
  size_t i = 0;
  for (; i + 2 * lanes <= size; i += 2 * lanes) {
    const auto first = hn::BitCast(bits, hn::LoadU(d, values + i));
    const auto second = hn::BitCast(bits, hn::LoadU(d, values + i + lanes));
    most0 = hn::Max(most0, hn::And(first, exponent));
    most1 = hn::Max(most1, hn::And(second, exponent));
  }
  const auto most = hn::Max(most0, most1);
  bool finite = hn::AllTrue(bits, hn::Lt(most, exponent));
  for (; i < size; ++i) finite = finite && std::isfinite(values[i]);
  return finite;
}

float Dot(const float* a, const float* b, size_t width) {
  return WithTag(width, [&](auto d) { return DotWith(d, a, b, width); });
}

void ScaleColumns(const float* x, const float* scale, size_t rows, size_t width,
                  float* out) {
  WithTag(width, [&](auto d) {
    for (size_t row = 0; row < rows; ++row, x += width, out += width) {
      for (size_t i = 0; i < width; i += hn::Lanes(d)) {
        hn::StoreU(hn::Mul(hn::LoadU(d, x + i), hn::LoadU(d, scale + i)), d,
                   out + i);
      }
    }
  });
}

// Floats, from what they are or from bfloat16.
template <class D>
HWY_INLINE hn::Vec<D> LoadValues(D d, const float* values) {
  return hn::LoadU(d, values);
}

template <class D>
HWY_INLINE hn::Vec<D> LoadValues(D d, const uint16_t* values) {
  const hn::Rebind<uint16_t, D> half_tag;
  const hn::RebindToUnsigned<D> bits_tag;
  const auto bits = hn::PromoteTo(bits_tag, hn::LoadU(half_tag, values));
  return hn::BitCast(d, hn::ShiftLeft<16>(bits));
}

// Rows of `size` values in two parts, the second with those from `first_added`
// on.
struct RowsInParts {
  template <class Value>
  HWY_INLINE const Value* Row(size_t row) const {
    return row < first_added
               ? static_cast<const Value*>(values) + row * size
               : static_cast<const Value*>(added) + (row - first_added) * size;
  }

  const void* values;
  const void* added;
  size_t first_added;
  size_t size;
};

// Calls use(row, values) for every item in order, values those of its row of
// `table`, which are fetched far enough ahead to come from memory meanwhile.
template <class Value, class Use>
HWY_INLINE void ForEveryRow(const CandidateItems& items,
                            const RowsInParts& table, Use&& use) {
  constexpr size_t kRowsAhead = 6;
  const auto values = [&](size_t row) {
    return table.Row<Value>(items.rows[row]);
  };
  for (size_t row = 0; row < std::min(kRowsAhead, items.count); ++row) {
    PrefetchRow(values(row), table.size);
  }
  for (size_t row = 0; row < items.count; ++row) {
    if (row + kRowsAhead < items.count) {
      PrefetchRow(values(row + kRowsAhead), table.size);
    }
    use(row, values(row));
  }
}

// The same, whatever the values are; f(d, row, values), with lanes that divide
// `width`.
template <class F>
HWY_INLINE void ForEveryItem(const CandidateItems& items,
                             const RowsInParts& table, size_t width, F&& f) {
  WithTag(width, [&](auto d) {
    const auto use = [&](size_t row, auto* values) { f(d, row, values); };
    if (items.known.bf16) {
      ForEveryRow<uint16_t>(items, table, use);
    } else {
      ForEveryRow<float>(items, table, use);
    }
  });
}

template <class F>
HWY_INLINE void ForEveryEmbedding(const CandidateItems& items, size_t width,
                                  F&& f) {
  const ItemRows& known = items.known;
  ForEveryItem(
      items,
      {known.embedding, known.added_embedding, known.first_added, width}, width,
      f);
}

void CandidateRows(const CandidateItems& items, float scale,
                   const float* shared, const float* user, size_t width,
                   float* x, float* dots) {
  ForEveryEmbedding(items, width, [&](auto d, size_t row, auto* item) {
    const auto factor = hn::Set(d, scale);
    float* out = x + row * width;
    dots[row] = SumRow(d, width, [&](size_t i, auto dot) {
      const auto value = LoadValues(d, item + i);
      hn::StoreU(Fma(factor, value, hn::LoadU(d, shared + i)), d, out + i);
      return Fma(hn::LoadU(d, user + i), value, dot);
    });
  });
}

void ItemDots(const CandidateItems& items, const float* user, size_t width,
              float* dots) {
  ForEveryEmbedding(items, width, [&](auto d, size_t row, auto* item) {
    dots[row] = SumRow(d, width, [&](size_t i, auto dot) {
      return Fma(hn::LoadU(d, user + i), LoadValues(d, item + i), dot);
    });
  });
}

void ScaledItems(const CandidateItems& items, const float* scale, size_t width,
                 float* out) {
  ForEveryEmbedding(items, width, [&](auto d, size_t row, auto* item) {
    for (size_t i = 0; i < width; i += hn::Lanes(d)) {
      hn::StoreU(hn::Mul(LoadValues(d, item + i), hn::LoadU(d, scale + i)), d,
                 out + row * width + i);
    }
  });
}

// sum + sum_j factors_j shares_j of the vector from element `begin` on, of
// `count` rows that are `stride` apart: null for none.
template <class D, class V = hn::Vec<D>>
HWY_INLINE V AddShares(D d, const float* factors, const float* shares,
                       size_t count, size_t stride, size_t begin, V sum) {
  for (size_t j = 0; j < count; ++j) {
    sum = Fma(hn::Set(d, factors[j]), hn::LoadU(d, shares + j * stride + begin),
              sum);
  }
  return sum;
}

// One row of CandidateQkvg: q, k, v or g, whose SiLU is taken or not. facts:
// null for none.
template <bool kSilu, class D, class Value>
HWY_INLINE void QkvgPart(D d, const Value* item_share, const QkvgShares& shares,
                         const float* features, const float* facts,
                         float inverse_rms, size_t begin, size_t width,
                         float* out) {
  const auto scale = hn::Set(d, shares.scale);
  const auto inverse = hn::Set(d, inverse_rms);
  for (size_t i = begin; i < begin + width; i += hn::Lanes(d)) {
    auto sum = Fma(scale, LoadValues(d, item_share + i),
                   hn::LoadU(d, shares.shared + i));
    sum = AddShares(d, features, shares.feature_shares, shares.num_features,
                    4 * width, i, sum);
    if (facts != nullptr) {
      sum = AddShares(d, facts, shares.fact_shares, shares.num_facts, 4 * width,
                      i, sum);
    }
    const auto y = Fma(sum, inverse, hn::LoadU(d, shares.shift + i));
    hn::StoreU(kSilu ? SiluVector(d, y) : y, d, out + i);
  }
}

void CandidateQkvg(const CandidateItems& items, const QkvgShares& shares,
                   const QkvgFactors& factors, const float* x, size_t width,
                   float* qkvg) {
  HWY_ALIGN float sums[kRowBlock] = {};
  HWY_ALIGN float inverses[kRowBlock];
  const auto make_row = [&](auto d, size_t row, auto* item_share) {
    if (row % kRowBlock == 0) {
      const size_t rows = std::min(kRowBlock, items.count - row);
      for (size_t r = 0; r < rows; ++r) {
        sums[r] = SumOfSquares(d, x + (row + r) * width, width);
      }
      InverseRmsOfBlock(sums, width, inverses);
    }
    const float inverse = inverses[row % kRowBlock];
    const float* features = factors.features + row * shares.num_features;
    const float* facts =
        factors.facts == nullptr ? nullptr : factors.facts[row];
    float* out = qkvg + row * 4 * width;
    for (size_t part = 0; part < 4; ++part) {
      if (part == 2) {
        QkvgPart<false>(d, item_share, shares, features, facts, inverse,
                        part * width, width, out);
      } else {
        QkvgPart<true>(d, item_share, shares, features, facts, inverse,
                       part * width, width, out);
      }
    }
  };
  if (items.known.shares != nullptr) {
    const RowsInParts table{items.known.shares, nullptr, SIZE_MAX, 4 * width};
    return ForEveryItem(items, table, width, make_row);
  }
  WithTag(width, [&](auto d) {
    for (size_t row = 0; row < items.count; ++row) {
      make_row(d, row, qkvg + row * 4 * width);
    }
  });
}

void SiluRows(size_t rows, size_t width, size_t stride, float* x) {
  WithTag(width, [&](auto d) {
    for (size_t row = 0; row < rows; ++row, x += stride) {
      for (size_t i = 0; i < width; i += hn::Lanes(d)) {
        hn::StoreU(SiluVector(d, hn::LoadU(d, x + i)), d, x + i);
      }
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

float HeadLogit(const float* hidden, const float* b1, const float* w2,
                size_t width) {
  return WithTag(width, [&](auto d) {
    return SumRow(d, width, [&](size_t i, auto sum) {
      const auto h = hn::Add(hn::LoadU(d, hidden + i), hn::LoadU(d, b1 + i));
      return Fma(SiluVector(d, h), hn::LoadU(d, w2 + i), sum);
    });
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
HWY_EXPORT(MixWindow);
HWY_EXPORT(SumOfRows);
HWY_EXPORT(ScaleAdd);
HWY_EXPORT(AddScaledRows);
HWY_EXPORT(AllFinite);
HWY_EXPORT(Dot);
HWY_EXPORT(CandidateRows);
HWY_EXPORT(ItemDots);
HWY_EXPORT(ScaleColumns);
HWY_EXPORT(ScaledItems);
HWY_EXPORT(CandidateQkvg);
HWY_EXPORT(SiluRows);
HWY_EXPORT(GatedSilu);
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

void MixWindow(const float* conv, const float* n, const float* window,
               size_t conv_width, size_t width, float* after, float* mixed) {
  HWY_DYNAMIC_DISPATCH(MixWindow)
  (conv, n, window, conv_width, width, after, mixed);
}

void SumOfRows(const float* const* rows, const float* scales, size_t num_rows,
               size_t width, float* out) {
  HWY_DYNAMIC_DISPATCH(SumOfRows)(rows, scales, num_rows, width, out);
}

void ScaleAdd(float scale, const float* a, size_t width, float* out) {
  HWY_DYNAMIC_DISPATCH(ScaleAdd)(scale, a, width, out);
}

void AddScaledRows(const float* scales, const float* rows, size_t num_rows,
                   size_t width, float* out) {
  HWY_DYNAMIC_DISPATCH(AddScaledRows)(scales, rows, num_rows, width, out);
}

bool AllFinite(const float* values, size_t size) {
  return HWY_DYNAMIC_DISPATCH(AllFinite)(values, size);
}

float Dot(const float* a, const float* b, size_t width) {
  return HWY_DYNAMIC_DISPATCH(Dot)(a, b, width);
}

void ScaleColumns(const float* x, const float* scale, size_t rows, size_t width,
                  float* out) {
  HWY_DYNAMIC_DISPATCH(ScaleColumns)(x, scale, rows, width, out);
}

void CandidateRows(const CandidateItems& items, float scale,
                   const float* shared, const float* user, size_t width,
                   float* x, float* dots) {
  HWY_DYNAMIC_DISPATCH(CandidateRows)
  (items, scale, shared, user, width, x, dots);
}

void ItemDots(const CandidateItems& items, const float* user, size_t width,
              float* dots) {
  HWY_DYNAMIC_DISPATCH(ItemDots)(items, user, width, dots);
}

void ScaledItems(const CandidateItems& items, const float* scale, size_t width,
                 float* out) {
  HWY_DYNAMIC_DISPATCH(ScaledItems)(items, scale, width, out);
}

void CandidateQkvg(const CandidateItems& items, const QkvgShares& shares,
                   const QkvgFactors& factors, const float* x, size_t width,
                   float* qkvg) {
  HWY_DYNAMIC_DISPATCH(CandidateQkvg)(items, shares, factors, x, width, qkvg);
}

void SiluRows(size_t rows, size_t width, size_t stride, float* x) {
  HWY_DYNAMIC_DISPATCH(SiluRows)(rows, width, stride, x);
}

void GatedSilu(const float* pr, size_t rows, size_t width, float* out) {
  HWY_DYNAMIC_DISPATCH(GatedSilu)(pr, rows, width, out);
}

float HeadLogit(const float* hidden, const float* b1, const float* w2,
                size_t width) {
  return HWY_DYNAMIC_DISPATCH(HeadLogit)(hidden, b1, w2, width);
}

std::string TargetName() { return HWY_DYNAMIC_DISPATCH(TargetName)(); }

}  // namespace qlarank::kernels
#endif  // HWY_ONCE
