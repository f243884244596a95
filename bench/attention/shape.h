// The one shape in which attention mechanisms are compared, and in which their
// quality is measured: that of the model which docs/model.md recommends, with
// four layers.
#ifndef QLARANK_BENCH_ATTENTION_SHAPE_H_
#define QLARANK_BENCH_ATTENTION_SHAPE_H_

#include <cstddef>

#include "model/kernels.h"

namespace qlarank::bench::attention {

inline constexpr size_t kLayers = 4;
inline constexpr size_t kHeads = 4;
inline constexpr size_t kHeadWidth = 16;
inline constexpr size_t kHeadFloats = kHeadWidth * kHeadWidth;  // of a state
// Heads as the engine's kernels see them.
inline constexpr kernels::HeadShape kHeadShape{kHeads, kHeadWidth};
inline constexpr size_t kWidth = kHeads * kHeadWidth;  // d
inline constexpr size_t kFfnWidth = 2 * kWidth;
inline constexpr size_t kConvWidth = 4;  // of the causal convolution
inline constexpr size_t kTileRows = 64;

// Rows of a table that softmax and HSTU add to a score, by distance or time.
inline constexpr size_t kBiasBuckets = 32;
// Levels that a log-linear token has a weight for: 2^24 events.
inline constexpr size_t kLevels = 24;
// Sliding window: how many tokens are near, the reader among them, and how many
// of the first events every later token sees.
inline constexpr size_t kWindow = 64;
inline constexpr size_t kGlobals = 4;
// Recent softmax: likewise, and no others.
inline constexpr size_t kRecent = 200;
// Outputs of gates behind g: one or two per head, and a product's columns come
// by eights.
inline constexpr size_t kGateOutputs = 2 * kHeads;
inline constexpr size_t kSeeds = 64;  // virtual ones (docs/model.md section 8)

}  // namespace qlarank::bench::attention

#endif  // QLARANK_BENCH_ATTENTION_SHAPE_H_
