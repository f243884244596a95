// How many operations a second a core of this processor can do at all: the
// peak that the engine's share is a share of, and a library's too.
//
// A loop does nothing but multiply and add, on operands in registers, with as
// many independent sums as hide the latency, so that the instruction's ports
// are what bounds it. There is one for each precision and instruction set that
// has instructions for it; which of them may run is asked of the processor.
#ifndef QLARANK_BENCH_FMA_PEAK_H_
#define QLARANK_BENCH_FMA_PEAK_H_

#include <cstddef>
#include <cstdint>

#include "absl/time/time.h"
#include "absl/types/span.h"
#include "model/precision.h"

namespace qlarank::bench {

// Of a vector's sums each is of `depth` products: sum += a b (depth 1) or the
// dot product of groups of 2 or 4 narrow values. A tile (AMX) multiplies
// matrices: 16 rows of `a` by 16 columns of `b`.
struct PeakLoop {
  Precision precision;
  const char* instructions;  // of those, as /proc/cpuinfo writes it
  size_t lanes;              // sums of a vector or tile
  size_t depth;              // products of a sum in a step
  size_t vectors;            // vectors or tiles of sums
  bool tiles;                // whether operands are 16 rows of 64 bytes
  bool (*supported)();

  // `steps` times, for every vector or tile of sums: sums += a * b.
  //
  // a and b: 64 bytes, or 1,024 for tiles, of which a vector's loop uses as
  // many as it is wide: f32; bf16 (two a lane); or 8 bits (four a lane, a's
  // without sign). Sums: vectors * lanes floats, or int32 for 8 bits, 64-byte
  // aligned: read before the first step and written after the last.
  // REQUIRES: supported().
  void (*run)(int64_t steps, const void* a, const void* b, void* sums);

  // A multiplication and an addition are two.
  double operations_per_step() const {
    return 2.0 * static_cast<double>(lanes * depth * vectors);
  }
};

// All there are, whether this processor has the instructions or not.
absl::Span<const PeakLoop> PeakLoops();

// The loops of this processor in a precision; none: it has no instructions
// that pay.
bool HasPeak(Precision precision);

// Operations a second of this thread's processor time, sustained for so long.
// REQUIRES: loop.supported().
double OperationsPerSecond(const PeakLoop& loop, absl::Duration duration);

// The loop that is fastest here, found at the first call in a tenth of a
// second and remembered. REQUIRES: HasPeak(precision).
const PeakLoop& FastestLoop(Precision precision);

// This core's clock just now: additions that wait for each other, one a cycle.
double ClockHz(absl::Duration duration);

}  // namespace qlarank::bench

#endif  // QLARANK_BENCH_FMA_PEAK_H_
