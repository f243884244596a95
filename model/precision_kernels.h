// From float32 rows to those of a lower precision and back, around a matrix
// product (model/matrix.h). A row's values depend on that row only.
//
// Widths are multiples of 8.
#ifndef QLARANK_MODEL_PRECISION_KERNELS_H_
#define QLARANK_MODEL_PRECISION_KERNELS_H_

#include <cstddef>
#include <cstdint>

namespace qlarank::kernels {

// out = x in bfloat16, to the nearest, ties to even, [size].
void ToBf16(const float* x, size_t size, uint16_t* out);

// out = levels + 1 + round(x / scale), scale = max |x| / levels of each row:
// [rows, width], scales [rows]. levels: at most 127. Unsigned, as processors
// multiply unsigned rows by signed weights.
void QuantizeRows(const float* x, size_t rows, size_t width, int levels,
                  uint8_t* out, float* scales);

}  // namespace qlarank::kernels

#endif  // QLARANK_MODEL_PRECISION_KERNELS_H_
