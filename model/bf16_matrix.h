// Multiplies rows in bfloat16 by a weight matrix packed once, with oneDNN
// (docs of matmul: oneapi-src.github.io/oneDNN, "Matrix Multiplication"), which
// has it in AVX-512 and AMX. oneDNN stays inside this file's .cc.
#ifndef QLARANK_MODEL_BF16_MATRIX_H_
#define QLARANK_MODEL_BF16_MATRIX_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/types/span.h"

namespace qlarank {

// Immutable, shared by threads.
class Bf16Matrix {
 public:
  // weights row-major [out, in], rounded and copied. y += W x where `adds`.
  // INTERNAL when oneDNN refuses; `name` names the matrix then.
  static absl::StatusOr<std::unique_ptr<const Bf16Matrix>> Create(
      std::string name, absl::Span<const float> weights, size_t out, size_t in,
      bool adds);
  ~Bf16Matrix();

  // A thread's way to run the matrix: oneDNN's per-call objects, made once.
  class Call {
   public:
    // Keeps a reference to the matrix.
    explicit Call(const Bf16Matrix& matrix);
    ~Call();

    // x row-major [rows, in] in bfloat16, y [rows, out] in float32. Every row
    // is NaN when oneDNN fails, as it may for want of memory.
    void Run(size_t rows, const uint16_t* x, float* y);

   private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
  };

 private:
  friend class Call;
  struct Primitive;

  Bf16Matrix(size_t out, size_t in, bool adds);
  bool BlocksAgree() const;

  size_t out_;
  size_t in_;
  bool adds_;
  // Of a fixed number of rows each; the large one only where a row has the same
  // bits in both.
  std::unique_ptr<const Primitive> small_, large_;
};

}  // namespace qlarank

#endif  // QLARANK_MODEL_BF16_MATRIX_H_
