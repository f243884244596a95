// The float32 product: rows by a weight matrix that never changes, packed once.
//
// The same bits on every processor, for any number of rows: an output starts at
// 0 and takes its inputs in order, one fused multiply-add a step, whatever the
// width of a vector and the size of a block (docs/model.md section 10).
#ifndef QLARANK_MODEL_PRODUCT_H_
#define QLARANK_MODEL_PRODUCT_H_

#include <cstddef>

#include "absl/types/span.h"
#include "model/aligned_vector.h"

namespace qlarank::kernels {

// What becomes of the sums s of a row.
enum class Ending {
  kStore,  // y = s
  kAdd,    // y += s
  kSilu,   // y = SiLU(s)
  kGate,   // y = p * SiLU(r) with [p r] = s: half as many columns
};

// Outputs that lie together in packed weights: a whole vector everywhere.
inline constexpr size_t kPanelOutputs = 16;

// Weights [out, in] as the product reads them: panels of kPanelOutputs outputs,
// of each the inputs in order, of each the panel's outputs; the last panel is
// filled with zeros. For kGate, panels of p and r take turns.
AlignedVector<float> PackPanels(absl::Span<const float> weights, size_t in,
                                Ending ending);

// y_stride: from one row of y to the next. x [rows, in] row after row; y
// [rows, columns]; columns, a multiple of 8, counts those of y.
struct Product {
  const float* panels;
  size_t in;
  size_t columns;
  Ending ending;
};
void MultiplyWeights(const Product& product, const float* x, size_t rows,
                     float* y, size_t y_stride);

}  // namespace qlarank::kernels

#endif  // QLARANK_MODEL_PRODUCT_H_
