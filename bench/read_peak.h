// How fast a core reads bytes at all: the peak for what meets every weight once
// and does little with it, as a lone row does.
#ifndef QLARANK_BENCH_READ_PEAK_H_
#define QLARANK_BENCH_READ_PEAK_H_

#include <cstddef>
#include <cstdint>

#include "absl/types/span.h"

namespace qlarank::bench {

// Reads the words once, with the widest loads that this processor has, from
// first to last; the sum of all, modulo 2^64, so that none can be left out. The
// additions cost nothing beside loads.
//
// REQUIRES: a multiple of kReadWords, at an address of whole cache lines.
inline constexpr size_t kReadWords = 128;
uint64_t ReadOnce(absl::Span<const uint64_t> words);

}  // namespace qlarank::bench

#endif  // QLARANK_BENCH_READ_PEAK_H_
