// Compiled for AVX-512 with VNNI (model/CMakeLists.txt), so nothing may be
// included here whose inline functions others use, too: the linker keeps one.
#include <immintrin.h>

#include "model/int8_product.h"

namespace qlarank::kernels {
namespace {

constexpr size_t kLanes = 16;
constexpr size_t kVectorBytes = kLanes * kInt8GroupInputs;
constexpr size_t kVectors = kInt8BlockChannels / kLanes;

// sums + four products of each lane. As assembler, because GCC 12 copies the
// sums from and to memory around the intrinsic.
inline __attribute__((always_inline)) __m512i AddProducts(__m512i sums,
                                                          __m512i x,
                                                          __m512i weights) {
  asm("vpdpbusd %2, %1, %0" : "+v"(sums) : "v"(x), "v"(weights));
  return sums;
}

template <bool kAdd>
inline __attribute__((always_inline)) void Store(__m512i sums, __m512 scales,
                                                 __m512 row_scale,
                                                 __mmask16 mask, float* y) {
  // _mm512_cvtepi32_ps warns of what it leaves undefined.
  const auto whole = reinterpret_cast<__m512>(
      __builtin_convertvector(reinterpret_cast<__v16si>(sums), __v16sf));
  const __m512 scaled = _mm512_mul_ps(whole, scales);
  const __m512 result =
      kAdd ? _mm512_fmadd_ps(scaled, row_scale, _mm512_maskz_loadu_ps(mask, y))
           : _mm512_mul_ps(scaled, row_scale);
  _mm512_mask_storeu_ps(y, mask, result);
}

// A mask of the first `count` lanes, which may be below 0 or above kLanes.
__mmask16 FirstLanes(ptrdiff_t count) {
  if (count <= 0) return 0;
  if (count >= static_cast<ptrdiff_t>(kLanes)) return 0xffff;
  return static_cast<__mmask16>((1u << count) - 1);
}

// kRows rows from `row` on, by the block of channels from `channel` on.
template <size_t kRows, bool kAdd>
inline __attribute__((always_inline)) void MultiplyBlock(
    const Int8Weights& weights, size_t channel, size_t row, const uint8_t* x,
    const float* row_scales, float* y) {
  x += row * weights.in;
  __m512i sums[kRows][kVectors];
  for (size_t r = 0; r < kRows; ++r) {
    for (size_t v = 0; v < kVectors; ++v) {
      sums[r][v] = _mm512_load_si512(weights.zero_share + channel + v * kLanes);
    }
  }
  const int8_t* w = weights.packed + channel * weights.in;
  for (size_t i = 0; i < weights.in; i += kInt8GroupInputs) {
    __m512i w_group[kVectors];
    for (size_t v = 0; v < kVectors; ++v, w += kVectorBytes) {
      w_group[v] = _mm512_load_si512(w);
    }
    for (size_t r = 0; r < kRows; ++r) {
      int32_t x_group;
      __builtin_memcpy(&x_group, x + r * weights.in + i, sizeof(x_group));
      const __m512i inputs = _mm512_set1_epi32(x_group);
      for (size_t v = 0; v < kVectors; ++v) {
        sums[r][v] = AddProducts(sums[r][v], inputs, w_group[v]);
      }
    }
  }
  y += row * weights.out + channel;
  for (size_t v = 0; v < kVectors; ++v) {
    const __m512 scales = _mm512_load_ps(weights.scales + channel + v * kLanes);
    const __mmask16 mask = FirstLanes(weights.out - channel - v * kLanes);
    for (size_t r = 0; r < kRows; ++r) {
      Store<kAdd>(sums[r][v], scales, _mm512_set1_ps(row_scales[row + r]), mask,
                  y + r * weights.out + v * kLanes);
    }
  }
}

// As many rows as registers hold the sums of, beside what these are made of.
constexpr size_t kMostRows = 4;

template <bool kAdd>
void Multiply(const Int8Weights& weights, const uint8_t* x,
              const float* row_scales, size_t rows, float* y) {
  for (size_t c = 0; c < weights.out; c += kInt8BlockChannels) {
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

constinit const Int8Kernels kVnniInt8 = {"AVX-512 VNNI", 127, 127,
                                         Multiply<false>, Multiply<true>};

}  // namespace qlarank::kernels
