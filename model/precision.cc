#include "model/precision.h"

#include <oneapi/dnnl/dnnl.h>

namespace qlarank {
namespace {

// As oneDNN sees the processor, which a test may tell that it is a lesser one.
bool HasInstructions(dnnl_cpu_isa_t wanted) {
  return (dnnl_get_effective_cpu_isa() & wanted) == wanted;
}

}  // namespace

bool ProcessorHas(Precision precision) {
  switch (precision) {
    case Precision::kBf16:
      return HasInstructions(dnnl_cpu_isa_avx512_core_bf16);
    case Precision::kInt8:
      return Int8KernelsOfProcessor() != nullptr;
    default:
      return true;
  }
}

absl::Span<const Precision> PrecisionsBySpeed() {
  using enum Precision;
  static constexpr Precision kWithAmx[] = {kBf16, kInt8, kF32};
  static constexpr Precision kWithoutAmx[] = {kInt8, kF32};
  static constexpr Precision kWithoutAvx2[] = {kF32};
  if (HasInstructions(dnnl_cpu_isa_avx512_core_amx)) return kWithAmx;
  if (Int8KernelsOfProcessor() != nullptr) return kWithoutAmx;
  return kWithoutAvx2;
}

const kernels::Int8Kernels* Int8KernelsOfProcessor() {
  if (HasInstructions(dnnl_cpu_isa_avx512_core_vnni)) {
    return &kernels::kVnniInt8;
  }
  // With AVX2 come fused multiply-adds on every processor there is.
  if (HasInstructions(dnnl_cpu_isa_avx2)) return &kernels::kAvx2Int8;
  return nullptr;
}

}  // namespace qlarank
