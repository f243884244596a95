#include "model/product.h"

#include <algorithm>

#include "hwy/cache_control.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "model/product.cc"
#include "hwy/foreach_target.h"
// Must follow foreach_target.h.
#include "hwy/highway.h"
#include "model/kernels-inl.h"

HWY_BEFORE_NAMESPACE();
namespace qlarank::kernels::HWY_NAMESPACE {

constexpr size_t kLanes = hn::MaxLanes(Wide());
constexpr size_t kPanelVectors = kPanelOutputs / kLanes;

// Rows and panels of a block, whose sums registers hold (32 of them, or 16)
// beside what they are made of. A row alone takes more panels, or it would wait
// for its own sums.
constexpr size_t kMostRows = 6;
#if HWY_TARGET <= HWY_AVX3
constexpr size_t kMostPanels = 4;
constexpr size_t kLoneRowPanels = 8;
#else
constexpr size_t kMostPanels = 1;
constexpr size_t kLoneRowPanels = 4;
#endif

constexpr size_t kStepsAhead = 16;

// The columns of a row of y that one vector of sums belongs to: `columns` of
// them, 8 or more, or none; adds to them or overwrites them.
HWY_INLINE void StoreColumns(hn::Vec<Wide> sums, size_t columns, bool add,
                             float* y) {
  const Wide d;
  if (columns >= kLanes) {
    hn::StoreU(add ? hn::Add(hn::LoadU(d, y), sums) : sums, d, y);
  } else if constexpr (kLanes > 8) {
    if (columns == 0) return;
    const hn::Half<Wide> half;
    const auto low = hn::LowerHalf(half, sums);
    hn::StoreU(add ? hn::Add(hn::LoadU(half, y), low) : low, half, y);
  }
}

// Where the sums of a block of rows go.
struct Target {
  float* y;
  size_t stride;
  size_t columns;
  bool add;
};

// kRows rows by kPanels panels.
template <size_t kRows, size_t kPanels>
HWY_INLINE void MultiplyBlock(const float* panels, size_t in, const float* x,
                              const Target& target) {
  const Wide d;
  constexpr size_t kVectors = kPanels * kPanelVectors;
  hn::Vec<Wide> sums[kRows][kVectors];
  // Without these the compiler keeps the sums in memory.
  HWY_UNROLL(16)
  for (size_t r = 0; r < kRows; ++r) {
    HWY_UNROLL(16)
    for (size_t v = 0; v < kVectors; ++v) sums[r][v] = hn::Zero(d);
  }
  const size_t panel_size = in * kPanelOutputs;
  for (size_t i = 0; i < in; ++i, panels += kPanelOutputs) {
    hn::Vec<Wide> weights[kVectors];
    HWY_UNROLL(16)
    for (size_t v = 0; v < kVectors; ++v) {
      weights[v] = hn::Load(d, panels + v / kPanelVectors * panel_size +
                                   v % kPanelVectors * kLanes);
    }
    // Panels come from L2 where another thread has a share of L1. (A row alone
    // has no time for it.)
    HWY_UNROLL(16)
    for (size_t p = 0; kRows > 1 && p < kPanels; ++p) {
      hwy::Prefetch(panels + p * panel_size + kStepsAhead * kPanelOutputs);
    }
    HWY_UNROLL(16)
    for (size_t r = 0; r < kRows; ++r) {
      const auto value = hn::Set(d, x[r * in + i]);
      HWY_UNROLL(16)
      for (size_t v = 0; v < kVectors; ++v) {
        sums[r][v] = Fma(value, weights[v], sums[r][v]);
      }
    }
  }
  HWY_UNROLL(16)
  for (size_t r = 0; r < kRows; ++r) {
    HWY_UNROLL(16)
    for (size_t v = 0; v < kVectors; ++v) {
      const size_t column = v * kLanes;
      StoreColumns(sums[r][v],
                   target.columns - std::min(target.columns, column),
                   target.add, target.y + r * target.stride + column);
    }
  }
}

// The same for `rows`, at most kMostRows.
template <size_t kPanels>
HWY_NOINLINE void MultiplyRowBlock(const float* panels, size_t in,
                                   const float* x, size_t rows,
                                   const Target& target) {
  if constexpr (kPanels > kMostPanels) {
    return MultiplyBlock<1, kPanels>(panels, in, x, target);
  } else {
    switch (rows) {
      case 1:
        return MultiplyBlock<1, kPanels>(panels, in, x, target);
      case 2:
        return MultiplyBlock<2, kPanels>(panels, in, x, target);
      case 3:
        return MultiplyBlock<3, kPanels>(panels, in, x, target);
      case 4:
        return MultiplyBlock<4, kPanels>(panels, in, x, target);
      case 5:
        return MultiplyBlock<5, kPanels>(panels, in, x, target);
      default:
        return MultiplyBlock<6, kPanels>(panels, in, x, target);
    }
  }
}

// y = SiLU(y), [rows, columns].
HWY_INLINE void SiluRows(const Target& target, size_t rows) {
  WithTag(target.columns, [&](auto d) {
    for (size_t row = 0; row < rows; ++row) {
      float* y = target.y + row * target.stride;
      for (size_t i = 0; i < target.columns; i += hn::Lanes(d)) {
        hn::StoreU(SiluVector(d, hn::LoadU(d, y + i)), d, y + i);
      }
    }
  });
}

// y = p * SiLU(r), [rows, columns], from the sums of kPanels panels, in turn of
// p and of r.
template <size_t kPanels>
HWY_INLINE void GateRows(const float* sums, size_t rows, const Target& target) {
  const Wide d;
  for (size_t row = 0; row < rows; ++row, sums += kPanels * kPanelOutputs) {
    for (size_t i = 0; i < target.columns; i += kLanes) {
      const float* p =
          sums + i / kPanelOutputs * 2 * kPanelOutputs + i % kPanelOutputs;
      const auto gate = SiluVector(d, hn::Load(d, p + kPanelOutputs));
      StoreColumns(hn::Mul(hn::Load(d, p), gate), target.columns - i,
                   /*add=*/false, target.y + row * target.stride + i);
    }
  }
}

// Rows of the next block of `rows`: the last two share what is left.
HWY_INLINE size_t NextBlock(size_t rows) {
  if (rows >= 2 * kMostRows || rows <= kMostRows) {
    return std::min(rows, kMostRows);
  }
  return (rows + 1) / 2;
}

// What a product multiplies and where the result goes.
struct Call {
  const Product& product;
  const float* x;
  size_t rows;
  float* y;
  size_t y_stride;

  const float* panels(size_t panel) const {
    return product.panels + panel * product.in * kPanelOutputs;
  }
  // `columns` from `first` on of the rows from `row` on, or as many as y has.
  Target target(size_t row, size_t first, size_t columns) const {
    return {y + row * y_stride + first, y_stride,
            std::min(columns, product.columns - first),
            product.ending == Ending::kAdd};
  }
};

// All rows by kPanels panels from `panel` on.
template <size_t kPanels>
HWY_INLINE void MultiplyPanels(const Call& call, size_t panel) {
  const size_t in = call.product.in;
  for (size_t row = 0, block; row < call.rows; row += block) {
    block = NextBlock(call.rows - row);
    const Target target =
        call.target(row, panel * kPanelOutputs, kPanels * kPanelOutputs);
    MultiplyRowBlock<kPanels>(call.panels(panel), in, call.x + row * in, block,
                              target);
    if (call.product.ending == Ending::kSilu) SiluRows(target, block);
  }
}

// The same where p and r of half as many columns come from them, kStep panels
// at a time.
template <size_t kPanels, size_t kStep>
HWY_INLINE void GatePanels(const Call& call, size_t panel) {
  constexpr size_t kSums = kPanels * kPanelOutputs;
  HWY_ALIGN float sums[kMostRows * kSums];
  const size_t in = call.product.in;
  for (size_t row = 0, block; row < call.rows; row += block) {
    block = NextBlock(call.rows - row);
    for (size_t p = 0; p < kPanels; p += kStep) {
      MultiplyRowBlock<kStep>(
          call.panels(panel + p), in, call.x + row * in, block,
          {sums + p * kPanelOutputs, kSums, kStep * kPanelOutputs, false});
    }
    GateRows<kPanels>(sums, block,
                      call.target(row, panel * kPanelOutputs / 2, kSums / 2));
  }
}

HWY_INLINE void MultiplyAndGate(const Call& call, size_t panels) {
  constexpr size_t kPair = 2;
  constexpr size_t kMost = std::max(kPair, kMostPanels);
  size_t panel = 0;
  for (; call.rows == 1 && panel + kLoneRowPanels <= panels;
       panel += kLoneRowPanels) {
    GatePanels<kLoneRowPanels, kLoneRowPanels>(call, panel);
  }
  for (; panel + kMost <= panels; panel += kMost) {
    GatePanels<kMost, kMostPanels>(call, panel);
  }
  for (; panel < panels; panel += kPair) {
    GatePanels<kPair, std::min(kPair, kMostPanels)>(call, panel);
  }
}

void MultiplyWeights(const Product& product, const float* x, size_t rows,
                     float* y, size_t y_stride) {
  const Call call{product, x, rows, y, y_stride};
  const size_t panels = (product.columns + kPanelOutputs - 1) / kPanelOutputs;
  if (product.ending == Ending::kGate) return MultiplyAndGate(call, 2 * panels);
  size_t panel = 0;
  for (; rows == 1 && panel + kLoneRowPanels <= panels;
       panel += kLoneRowPanels) {
    MultiplyPanels<kLoneRowPanels>(call, panel);
  }
  for (; panel + kMostPanels <= panels; panel += kMostPanels) {
    MultiplyPanels<kMostPanels>(call, panel);
  }
  for (; panel < panels; ++panel) MultiplyPanels<1>(call, panel);
}

}  // namespace qlarank::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace qlarank::kernels {

HWY_EXPORT(MultiplyWeights);

void MultiplyWeights(const Product& product, const float* x, size_t rows,
                     float* y, size_t y_stride) {
  HWY_DYNAMIC_DISPATCH(MultiplyWeights)(product, x, rows, y, y_stride);
}

AlignedVector<float> PackPanels(absl::Span<const float> weights, size_t in,
                                Ending ending) {
  const size_t parts = ending == Ending::kGate ? 2 : 1;
  const size_t out = weights.size() / in / parts;  // of a part
  const size_t panels = (out + kPanelOutputs - 1) / kPanelOutputs;
  AlignedVector<float> packed(panels * parts * in * kPanelOutputs);
  for (size_t part = 0; part < parts; ++part) {
    for (size_t o = 0; o < out; ++o) {
      const float* row = weights.data() + (part * out + o) * in;
      float* panel = packed.data() +
                     (o / kPanelOutputs * parts + part) * in * kPanelOutputs +
                     o % kPanelOutputs;
      for (size_t i = 0; i < in; ++i) panel[i * kPanelOutputs] = row[i];
    }
  }
  return packed;
}

}  // namespace qlarank::kernels
#endif  // HWY_ONCE
