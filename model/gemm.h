// Multiplies tiles of rows by a weight matrix that never changes: oneDNN with
// the weights packed once, and one primitive per tile size made at start
// (docs of matmul: oneapi-src.github.io/oneDNN, "Matrix Multiplication").
//
// oneDNN stays inside this file's .cc.
#ifndef QLARANK_MODEL_GEMM_H_
#define QLARANK_MODEL_GEMM_H_

#include <array>
#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"

namespace qlarank {

// The row counts that a tile may have. Few, because a primitive is made for
// each; a lone event must not pay for 64 rows.
inline constexpr std::array<size_t, 4> kTileSizes = {1, 4, 16, 64};

// Index into kTileSizes of the smallest tile that holds `rows` (1 to 64).
size_t TileIndexFor(size_t rows);

// y = W x, or y += W x, per row. Immutable, shared by threads.
class PackedMatrix {
 public:
  enum class Output { kOverwrite, kAccumulate };

  // `name` names the matrix in errors; weights row-major [out, in], copied.
  static absl::StatusOr<std::unique_ptr<const PackedMatrix>> Create(
      std::string name, absl::Span<const float> weights, size_t out, size_t in,
      Output output);
  ~PackedMatrix();

  size_t in() const { return in_; }
  size_t out() const { return out_; }

 private:
  friend class GemmScratch;
  struct Primitive;

  PackedMatrix(std::string name, size_t out, size_t in);

  std::string name_;
  size_t out_;
  size_t in_;
  std::vector<std::unique_ptr<Primitive>> primitives_;  // by tile index
};

// What a thread needs to run matrices: oneDNN's per-call objects, made once.
class GemmScratch {
 public:
  explicit GemmScratch(absl::Span<const PackedMatrix* const> matrices);
  ~GemmScratch();

  // x row-major [kTileSizes[tile_index], in], y [.., out]; both whole tiles.
  // REQUIRES: `matrix` was given to the constructor.
  void Run(const PackedMatrix& matrix, size_t tile_index, const float* x,
           float* y);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// Whether each matrix gives a row the same bits in every tile size and
// position, on this processor.
bool TileSizesAgree(absl::Span<const PackedMatrix* const> matrices);

// Names the instruction set and library version that the products' last bits
// depend on, for instance "dnnl2.6.3-0x7f".
std::string GemmNumericsTag();

}  // namespace qlarank

#endif  // QLARANK_MODEL_GEMM_H_
