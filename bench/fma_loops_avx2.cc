// Compiled for AVX2 with FMA (bench/CMakeLists.txt).
#include <immintrin.h>

#include "bench/fma_loop-inl.h"
#include "bench/fma_loops.h"

namespace qlarank::bench::fma_loops {
namespace {

struct F32 {
  using Operand = __m256;
  using Sum = __m256;
  static inline __attribute__((always_inline)) void Apply(__m256& sum, __m256 a,
                                                          __m256 b) {
    asm volatile("vfmadd231ps %2, %1, %0" : "+x"(sum) : "x"(a), "x"(b));
  }
};

// Exact as long as two products fit 16 bits: three instructions, for AVX2 has
// no sum of four products.
struct Int8 {
  using Operand = __m256i;
  using Sum = __m256i;
  static inline __attribute__((always_inline)) void Apply(__m256i& sum,
                                                          __m256i a,
                                                          __m256i b) {
    __m256i products;
    asm volatile(
        "vpmaddubsw %3, %2, %1\n\t"
        "vpmaddwd %4, %1, %1\n\t"
        "vpaddd %1, %0, %0"
        : "+x"(sum), "=&x"(products)
        : "x"(a), "x"(b), "x"(_mm256_set1_epi16(1)));
  }
};

struct VnniInt8 {
  using Operand = __m256i;
  using Sum = __m256i;
  static inline __attribute__((always_inline)) void Apply(__m256i& sum,
                                                          __m256i a,
                                                          __m256i b) {
    asm volatile("%{vex%} vpdpbusd %2, %1, %0" : "+x"(sum) : "x"(a), "x"(b));
  }
};

}  // namespace

void Avx2F32(int64_t steps, const void* a, const void* b, void* sums) {
  Run<F32, kAvx2Sums>(steps, a, b, sums);
}

void Avx2Int8(int64_t steps, const void* a, const void* b, void* sums) {
  Run<Int8, kAvx2Sums>(steps, a, b, sums);
}

void AvxVnniInt8(int64_t steps, const void* a, const void* b, void* sums) {
  Run<VnniInt8, kAvx2Sums>(steps, a, b, sums);
}

}  // namespace qlarank::bench::fma_loops
