// Compiled for AVX2 (model/CMakeLists.txt), so nothing may be included here
// whose inline functions others use, too: the linker keeps one.
#include <immintrin.h>

#include "model/int8_product.h"

namespace qlarank::kernels {
namespace {

constexpr size_t kLanes = 8;
constexpr size_t kVectorBytes = kLanes * kInt8GroupInputs;
constexpr size_t kGroupBytes = kInt8BlockChannels * kInt8GroupInputs;
// Vectors of sums, and rows, that registers hold beside what sums are made of.
constexpr size_t kVectors = 2;
constexpr size_t kMostRows = 4;
constexpr size_t kChannels = kVectors * kLanes;

inline __attribute__((always_inline)) __m256i LoadWeights(const int8_t* w) {
  return _mm256_load_si256(reinterpret_cast<const __m256i*>(w));
}

inline __attribute__((always_inline)) __m256i FourInputs(const uint8_t* x) {
  int32_t inputs;
  __builtin_memcpy(&inputs, x, sizeof(inputs));
  return _mm256_set1_epi32(inputs);
}

template <bool kAdd>
inline __attribute__((always_inline)) void Store(__m256i sums, __m256 scales,
                                                 __m256 row_scale, float* y) {
  const __m256 scaled = _mm256_mul_ps(_mm256_cvtepi32_ps(sums), scales);
  const __m256 result =
      kAdd ? _mm256_fmadd_ps(scaled, row_scale, _mm256_loadu_ps(y))
           : _mm256_mul_ps(scaled, row_scale);
  _mm256_storeu_ps(y, result);
}

// kRows rows from `row` on, by kChannels channels from `channel` on.
template <size_t kRows, bool kAdd>
inline __attribute__((always_inline)) void MultiplyBlock(
    const Int8Weights& weights, size_t channel, size_t row, const uint8_t* x,
    const float* row_scales, float* y) {
  const __m256i ones = _mm256_set1_epi16(1);
  __m256i sums[kRows][kVectors];
#pragma GCC unroll 4
  for (size_t r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
    for (size_t v = 0; v < kVectors; ++v) {
      sums[r][v] = _mm256_load_si256(reinterpret_cast<const __m256i*>(
          weights.zero_share + channel + v * kLanes));
    }
  }
  x += row * weights.in;
  const int8_t* w =
      weights.packed +
      channel / kInt8BlockChannels * kInt8BlockChannels * weights.in +
      channel % kInt8BlockChannels * kInt8GroupInputs;
  for (size_t i = 0; i < weights.in; i += 2 * kInt8GroupInputs) {
    __m256i w_pair[2][kVectors];
#pragma GCC unroll 4
    for (size_t v = 0; v < kVectors; ++v) {
      w_pair[0][v] = LoadWeights(w + v * kVectorBytes);
      w_pair[1][v] = LoadWeights(w + kGroupBytes + v * kVectorBytes);
    }
    w += 2 * kGroupBytes;
#pragma GCC unroll 4
    for (size_t r = 0; r < kRows; ++r) {
      const uint8_t* inputs = x + r * weights.in + i;
      const __m256i first = FourInputs(inputs);
      const __m256i second = FourInputs(inputs + kInt8GroupInputs);
#pragma GCC unroll 4
      for (size_t v = 0; v < kVectors; ++v) {
        const __m256i pairs =
            _mm256_add_epi16(_mm256_maddubs_epi16(first, w_pair[0][v]),
                             _mm256_maddubs_epi16(second, w_pair[1][v]));
        sums[r][v] =
            _mm256_add_epi32(sums[r][v], _mm256_madd_epi16(pairs, ones));
      }
    }
  }
  y += row * weights.out + channel;
#pragma GCC unroll 4
  for (size_t v = 0; v < kVectors; ++v) {
    if (channel + v * kLanes >= weights.out) return;
    const __m256 scales = _mm256_load_ps(weights.scales + channel + v * kLanes);
#pragma GCC unroll 4
    for (size_t r = 0; r < kRows; ++r) {
      Store<kAdd>(sums[r][v], scales, _mm256_set1_ps(row_scales[row + r]),
                  y + r * weights.out + v * kLanes);
    }
  }
}

template <bool kAdd>
void Multiply(const Int8Weights& weights, const uint8_t* x,
              const float* row_scales, size_t rows, float* y) {
  for (size_t c = 0; c < weights.out; c += kChannels) {
    size_t row = 0;
    for (; row + kMostRows <= rows; row += kMostRows) {
      MultiplyBlock<kMostRows, kAdd>(weights, c, row, x, row_scales, y);
    }
    for (; row < rows; ++row) {
      MultiplyBlock<1, kAdd>(weights, c, row, x, row_scales, y);
    }
  }
}

}  // namespace

constinit const Int8Kernels kAvx2Int8 = {"AVX2", 63, 63, Multiply<false>,
                                         Multiply<true>};

}  // namespace qlarank::kernels
