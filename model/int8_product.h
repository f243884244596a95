// The product of rows and weights in 8 bits. Ours, because oneDNN's leaves
// scaling by row, and adding what was scaled, to another pass over the results:
// a request takes a tenth less than with that.
//
// Only for processors that have Precision::kInt8 (AVX-512 with VNNI).
#ifndef QLARANK_MODEL_INT8_PRODUCT_H_
#define QLARANK_MODEL_INT8_PRODUCT_H_

#include <cstddef>
#include <cstdint>

namespace qlarank::kernels {

// Output channels of a block of packed weights: four vectors of sums.
inline constexpr size_t kInt8BlockChannels = 64;
// Inputs that one instruction multiplies and adds up.
inline constexpr size_t kInt8GroupInputs = 4;

// Weights [out, in] as the product reads them: blocks of kInt8BlockChannels
// output channels, of each the groups of kInt8GroupInputs inputs, of each the
// channels, of each the group's inputs. The last block is filled with zeros, as
// are scales and zero_share, [whole blocks].
struct Int8Weights {
  const int8_t* packed;       // aligned to a cache line
  const float* scales;        // what 1 stands for in a channel
  const int32_t* zero_share;  // -sum_i kQuantizedZero W_oi
  size_t out;
  size_t in;  // a multiple of kInt8GroupInputs
};

// Sums are exact, so a row's result is the same bits whatever the others are.
//   y_ro = (or +=) scales_o row_scales_r (sum_i W_oi x_ri + zero_share_o)
// x [rows, in], as QuantizeRows writes it; y [rows, out].
void MultiplyInt8(const Int8Weights& weights, const uint8_t* x,
                  const float* row_scales, size_t rows, float* y);
void MultiplyAddInt8(const Int8Weights& weights, const uint8_t* x,
                     const float* row_scales, size_t rows, float* y);

}  // namespace qlarank::kernels

#endif  // QLARANK_MODEL_INT8_PRODUCT_H_
