// The precision that candidates are scored in. States are folded in float32
// whatever it is: a state never depends on how it is read
// (docs/model.md section 9).
#ifndef QLARANK_MODEL_PRECISION_H_
#define QLARANK_MODEL_PRECISION_H_

#include "absl/types/span.h"
#include "model/int8_product.h"

namespace qlarank {

enum class Precision {
  kF32,
  // Weights and what they multiply in bfloat16, sums in float32.
  kBf16,
  // Weights in 8 bits (7 on AVX2) with a scale per output channel, what they
  // multiply likewise with a scale per row taken from that row; exact sums.
  kInt8,
};

// "f32", "bf16" or "int8".
constexpr const char* PrecisionName(Precision precision) {
  switch (precision) {
    case Precision::kBf16:
      return "bf16";
    case Precision::kInt8:
      return "int8";
    default:
      return "f32";
  }
}

// Whether this processor has instructions for it, so that it gains anything.
bool ProcessorHas(Precision precision);

// What this processor has, the fastest first, as far as float32: by the engine's
// benchmark (docs/performance.md) on processors of each kind. bfloat16 is among
// them with AMX alone: without it, an Intel Xeon took 1.6 times as long as in
// float32.
absl::Span<const Precision> PrecisionsBySpeed();

// The fastest that this processor has; null where it has none.
const kernels::Int8Kernels* Int8KernelsOfProcessor();

}  // namespace qlarank

#endif  // QLARANK_MODEL_PRECISION_H_
