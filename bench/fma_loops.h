// The loops of fma_peak.h by the instruction set that their file is compiled
// for: nothing may be included in those files whose inline functions others
// use, too, for the linker keeps one of each.
#ifndef QLARANK_BENCH_FMA_LOOPS_H_
#define QLARANK_BENCH_FMA_LOOPS_H_

#include <cstddef>
#include <cstdint>

namespace qlarank::bench::fma_loops {

// Vectors of sums: as many as leave registers for the operands.
inline constexpr size_t kAvx2Sums = 12;
inline constexpr size_t kAvx512Sums = 24;
inline constexpr size_t kTileSums = 4;

using Loop = void(int64_t steps, const void* a, const void* b, void* sums);

// fma_loops_avx2.cc
Loop Avx2F32, Avx2Int8, AvxVnniInt8;
// fma_loops_avx512.cc
Loop Avx512F32, Avx512BwInt8, Avx512VnniInt8, Avx512Bf16;
// fma_loops_amx.cc
Loop AmxBf16, AmxInt8;
bool AmxPermitted();  // by the kernel, which has to be asked

}  // namespace qlarank::bench::fma_loops

#endif  // QLARANK_BENCH_FMA_LOOPS_H_
