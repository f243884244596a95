// The product of rows and weights in 8 bits. Ours, because oneDNN's leaves
// scaling by row, and adding what was scaled, to another pass over the results
// (a request takes a tenth less than with that), and is slower than float32
// without AVX-512.
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
  const int32_t* zero_share;  // -sum_i (input_levels + 1) W_oi
  size_t out;
  size_t in;  // a multiple of kInt8GroupInputs
};

// Sums are exact, so a row's result is the same bits whatever the others are.
//   y_ro = (or +=) scales_o row_scales_r (sum_i W_oi x_ri + zero_share_o)
// x [rows, in], as QuantizeRows writes it; y [rows, out].
using Int8Multiply = void (*)(const Int8Weights& weights, const uint8_t* x,
                              const float* row_scales, size_t rows, float* y);

// How one instruction set multiplies. Sums are exact only if no number is
// larger than it can take.
struct Int8Kernels {
  const char* name;
  // What the largest magnitude of a channel of weights, and of a row, becomes.
  int weight_levels;
  int input_levels;
  Int8Multiply multiply;
  Int8Multiply multiply_add;
};

// AVX-512 with VNNI: four products are added up in 32 bits.
extern const Int8Kernels kVnniInt8;
// AVX2: eight products are added up in 16 bits before they are widened, which
// leaves 7 bits to weights and inputs: 8 * 127 * 63 / 2 is below 2^15.
extern const Int8Kernels kAvx2Int8;

}  // namespace qlarank::kernels

#endif  // QLARANK_MODEL_INT8_PRODUCT_H_
