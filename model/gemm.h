// Multiplies tiles of rows by a weight matrix that never changes: oneDNN with
// the weights packed once, and one primitive per tile size made at start
// (docs of matmul: oneapi-src.github.io/oneDNN, "Matrix Multiplication"). In 8
// bits it is our own product, of any number of rows (model/int8_matrix.h).
//
// oneDNN stays inside this file's .cc.
#ifndef QLARANK_MODEL_GEMM_H_
#define QLARANK_MODEL_GEMM_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "model/precision.h"

namespace qlarank {

// The row counts that a tile may have, a primitive each: a lone event must not
// pay for 64 rows, nor 50 candidates, the last ones of most requests.
inline constexpr std::array<size_t, 10> kTileSizes = {1,  4,  8,  16, 24,
                                                      32, 40, 48, 56, 64};

// Which of kTileSizes are in use. The largest always is.
class TileChoice {
 public:
  using InUse = std::array<bool, kTileSizes.size()>;

  static TileChoice All() {
    InUse in_use;
    in_use.fill(true);
    return TileChoice(in_use);
  }
  static TileChoice LargestOnly() {
    InUse in_use = {};
    in_use.back() = true;
    return TileChoice(in_use);
  }
  explicit TileChoice(const InUse& in_use) : in_use_(in_use) {}

  // Index into kTileSizes of the smallest tile in use that holds `rows` (at
  // most 64).
  size_t IndexFor(size_t rows) const {
    size_t index = 0;
    while (kTileSizes[index] < rows || !in_use_[index]) ++index;
    return index;
  }
  // Rows of that tile.
  size_t RowsFor(size_t rows) const { return kTileSizes[IndexFor(rows)]; }

  friend bool operator==(const TileChoice&, const TileChoice&) = default;

 private:
  InUse in_use_;
};

class Int8Matrix;

// y = W x, or y += W x, per row. Immutable, shared by threads.
class PackedMatrix {
 public:
  enum class Output { kOverwrite, kAccumulate };

  // `name` names the matrix in errors; weights row-major [out, in], copied.
  // Rows go in and come out in float32 whatever the precision they are
  // multiplied in. INTERNAL where oneDNN refuses, as it may a precision that
  // the processor does not have (ProcessorHas).
  static absl::StatusOr<std::unique_ptr<const PackedMatrix>> Create(
      std::string name, absl::Span<const float> weights, size_t out, size_t in,
      Output output, Precision precision = Precision::kF32);
  ~PackedMatrix();

  size_t in() const { return in_; }
  size_t out() const { return out_; }

 private:
  friend class GemmScratch;
  struct Primitive;

  PackedMatrix(std::string name, size_t out, size_t in, Output output,
               Precision precision);

  std::string name_;
  size_t out_;
  size_t in_;
  Output output_;
  Precision precision_;
  std::unique_ptr<const Int8Matrix> int8_;              // in 8 bits, or
  std::vector<std::unique_ptr<Primitive>> primitives_;  // by tile index
};

// What a thread needs to run matrices: oneDNN's per-call objects, made once.
class GemmScratch {
 public:
  GemmScratch(absl::Span<const PackedMatrix* const> matrices,
              const TileChoice& tiles);
  ~GemmScratch();

  // Rows that Run reads and writes when asked for `rows`.
  size_t TileRows(size_t rows) const { return tiles_.RowsFor(rows); }

  // x row-major [TileRows(rows), in], y [TileRows(rows), out]: whole tiles, of
  // which the rows from `rows` on only have to be finite.
  // Rows that are not finite give NaN, in every precision; so does every row
  // when oneDNN fails, as it may for want of memory.
  // REQUIRES: `matrix` was given to the constructor.
  void Run(const PackedMatrix& matrix, size_t rows, const float* x, float* y);

 private:
  struct Impl;
  const TileChoice tiles_;
  std::unique_ptr<Impl> impl_;
};

// The tile sizes in which all of the matrices give a row the bits that it has
// in the largest, wherever it stands: what "bitwise the same" rests on, tried
// out on this processor. INTERNAL when a row's position in the largest tile
// shows.
absl::StatusOr<TileChoice> ChooseTiles(
    absl::Span<const PackedMatrix* const> matrices);

// Whether `parts`, whose rows follow one another in `whole`, give the bits that
// it gives them. Tried out, likewise.
bool PartsAgree(const PackedMatrix& whole,
                absl::Span<const std::unique_ptr<const PackedMatrix>> parts);

// Names the instruction set and library version that the products' last bits
// depend on, for instance "dnnl2.6.3-0x7f".
std::string GemmNumericsTag();

}  // namespace qlarank

#endif  // QLARANK_MODEL_GEMM_H_
