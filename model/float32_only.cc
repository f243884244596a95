// Where nothing multiplies in fewer bits (model/CMakeLists.txt), this stands
// for precision.cc, bf16_matrix.cc and the kernels of int8: every processor is
// one that lacks their instructions.
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "model/bf16_matrix.h"
#include "model/precision.h"

namespace qlarank {

bool ProcessorHas(Precision precision) { return precision == Precision::kF32; }

absl::Span<const Precision> PrecisionsBySpeed() {
  static constexpr Precision kOnly[] = {Precision::kF32};
  return kOnly;
}

const kernels::Int8Kernels* Int8KernelsOfProcessor() { return nullptr; }

struct Bf16Matrix::Primitive {};
struct Bf16Matrix::Call::Impl {};

absl::StatusOr<std::unique_ptr<const Bf16Matrix>> Bf16Matrix::Create(
    std::string name, absl::Span<const float>, size_t, size_t, bool) {
  return absl::InternalError(
      absl::StrCat("nothing here multiplies ", name, " in bf16"));
}
Bf16Matrix::~Bf16Matrix() = default;
Bf16Matrix::Call::Call(const Bf16Matrix&) {}
Bf16Matrix::Call::~Call() = default;
void Bf16Matrix::Call::Run(size_t, const uint16_t*, float*) {}

}  // namespace qlarank
