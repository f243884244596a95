// Compiled for AVX-512 (bench/CMakeLists.txt); what only later processors have
// is written in assembler alone.
#include <immintrin.h>

#include "bench/fma_loop-inl.h"
#include "bench/fma_loops.h"

namespace qlarank::bench::fma_loops {
namespace {

struct F32 {
  using Operand = __m512;
  using Sum = __m512;
  static inline __attribute__((always_inline)) void Apply(__m512& sum, __m512 a,
                                                          __m512 b) {
    asm volatile("vfmadd231ps %2, %1, %0" : "+v"(sum) : "v"(a), "v"(b));
  }
};

// As with AVX2, for what has AVX-512 without VNNI.
struct BwInt8 {
  using Operand = __m512i;
  using Sum = __m512i;
  static inline __attribute__((always_inline)) void Apply(__m512i& sum,
                                                          __m512i a,
                                                          __m512i b) {
    __m512i products;
    asm volatile(
        "vpmaddubsw %3, %2, %1\n\t"
        "vpmaddwd %4, %1, %1\n\t"
        "vpaddd %1, %0, %0"
        : "+v"(sum), "=&v"(products)
        : "v"(a), "v"(b), "v"(_mm512_set1_epi16(1)));
  }
};

struct VnniInt8 {
  using Operand = __m512i;
  using Sum = __m512i;
  static inline __attribute__((always_inline)) void Apply(__m512i& sum,
                                                          __m512i a,
                                                          __m512i b) {
    asm volatile("vpdpbusd %2, %1, %0" : "+v"(sum) : "v"(a), "v"(b));
  }
};

struct Bf16 {
  using Operand = __m512i;
  using Sum = __m512;
  static inline __attribute__((always_inline)) void Apply(__m512& sum,
                                                          __m512i a,
                                                          __m512i b) {
    asm volatile("vdpbf16ps %2, %1, %0" : "+v"(sum) : "v"(a), "v"(b));
  }
};

}  // namespace

void Avx512F32(int64_t steps, const void* a, const void* b, void* sums) {
  Run<F32, kAvx512Sums>(steps, a, b, sums);
}

void Avx512BwInt8(int64_t steps, const void* a, const void* b, void* sums) {
  Run<BwInt8, kAvx512Sums>(steps, a, b, sums);
}

void Avx512VnniInt8(int64_t steps, const void* a, const void* b, void* sums) {
  Run<VnniInt8, kAvx512Sums>(steps, a, b, sums);
}

void Avx512Bf16(int64_t steps, const void* a, const void* b, void* sums) {
  Run<Bf16, kAvx512Sums>(steps, a, b, sums);
}

}  // namespace qlarank::bench::fma_loops
