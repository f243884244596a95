// Multiplies rows by a weight matrix that never changes, in the precision that
// it was made for: in float32 by our own product, whose bits are the same on
// every processor (model/product.h); in bfloat16 by oneDNN
// (model/bf16_matrix.h), and in 8 bits by our own (model/int8_matrix.h).
#ifndef QLARANK_MODEL_MATRIX_H_
#define QLARANK_MODEL_MATRIX_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "model/aligned_vector.h"
#include "model/precision.h"
#include "model/product.h"

namespace qlarank {

class Bf16Matrix;
class Int8Matrix;
class MatrixScratch;

// Immutable, shared by threads.
class Matrix {
 public:
  using Ending = kernels::Ending;

  // Neighbouring columns of y, and what becomes of their sums.
  struct Part {
    size_t columns;
    Ending ending;
  };

  // `name` names the matrix in errors; weights row-major [out, in], copied: the
  // rows of each part after those of the one before, of a part that gates twice
  // as many as columns. One that adds or gates is the only one. INTERNAL where
  // oneDNN refuses, as it may a precision that the processor does not have
  // (ProcessorHas).
  static absl::StatusOr<std::unique_ptr<const Matrix>> Create(
      std::string name, absl::Span<const float> weights, size_t in,
      std::vector<Part> parts, Precision precision = Precision::kF32);
  ~Matrix();

  // x row-major [rows, in], y [rows, columns of all parts]. A row's result does
  // not depend on the others. Rows that are not finite give NaN, in every
  // precision; so does every row when oneDNN fails, as it may for want of
  // memory. At most kMostRows, but any number in float32.
  static constexpr size_t kMostRows = 64;
  void Run(size_t rows, const float* x, float* y, MatrixScratch& scratch) const;

  // The sums of all parts, whatever becomes of them in Run: y [rows, out].
  // REQUIRES: no part adds or gates.
  void RunSums(size_t rows, const float* x, float* y,
               MatrixScratch& scratch) const;

  // Only `count` parts from `first` on; y [rows, their columns].
  // REQUIRES: the matrix is in float32.
  void RunParts(size_t first, size_t count, size_t rows, const float* x,
                float* y) const;

 private:
  friend class MatrixScratch;

  Matrix(size_t in, std::vector<Part> parts);
  void RunLower(size_t rows, const float* x, float* y,
                MatrixScratch& scratch) const;
  void SumsOfLower(size_t rows, const float* x, float* sums,
                   MatrixScratch& scratch) const;
  size_t out() const;  // rows of the weights

  size_t in_;
  std::vector<Part> parts_;
  std::vector<AlignedVector<float>> panels_;  // by part, in float32; or
  std::unique_ptr<const Bf16Matrix> bf16_;    // one of these
  std::unique_ptr<const Int8Matrix> int8_;
};

// What a thread needs to run matrices of lower precisions.
class MatrixScratch {
 public:
  explicit MatrixScratch(absl::Span<const Matrix* const> matrices);
  ~MatrixScratch();

 private:
  friend class Matrix;
  struct Bf16Calls;

  AlignedVector<unsigned char> converted_;  // x in the matrix's precision
  AlignedVector<float> row_scales_;
  AlignedVector<float> sums_;  // of a matrix that gates
  std::unique_ptr<Bf16Calls> bf16_calls_;
};

}  // namespace qlarank

#endif  // QLARANK_MODEL_MATRIX_H_
