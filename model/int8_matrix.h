// A weight matrix in 8 bits, with one scale per output channel (docs/model.md
// section 9). Immutable, shared by threads.
#ifndef QLARANK_MODEL_INT8_MATRIX_H_
#define QLARANK_MODEL_INT8_MATRIX_H_

#include <cstddef>
#include <cstdint>

#include "absl/types/span.h"
#include "model/aligned_vector.h"
#include "model/int8_product.h"

namespace qlarank {

class Int8Matrix {
 public:
  // Rounds weights, row-major [out, in]; `in` and `out` are multiples of 8.
  Int8Matrix(absl::Span<const float> weights, size_t out, size_t in,
             const kernels::Int8Kernels& kernels);

  // y = W x, or y += W x where `adds`: x [rows, in] and row_scales as
  // QuantizeRows makes them of kernels().input_levels; y [rows, out].
  void Run(const uint8_t* x, const float* row_scales, size_t rows, bool adds,
           float* y) const {
    const auto multiply = adds ? kernels_.multiply_add : kernels_.multiply;
    multiply({packed_.data(), scales_.data(), zero_share_.data(), out_, in_}, x,
             row_scales, rows, y);
  }
  const kernels::Int8Kernels& kernels() const { return kernels_; }

 private:
  const kernels::Int8Kernels& kernels_;
  size_t out_;
  size_t in_;
  AlignedVector<int8_t> packed_;
  AlignedVector<float> scales_;
  AlignedVector<int32_t> zero_share_;
};

}  // namespace qlarank

#endif  // QLARANK_MODEL_INT8_MATRIX_H_
