// ChooseTiles: the self-check of model/gemm.h.

#include <algorithm>
#include <cstring>
#include <random>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "model/aligned_vector.h"
#include "model/gemm.h"

namespace qlarank {
namespace {

constexpr size_t kLargest = kTileSizes.back();

// y of kLargest rows computed `rows` at a time.
AlignedVector<float> MultiplyInTiles(const PackedMatrix& matrix, size_t rows,
                                     const AlignedVector<float>& x,
                                     GemmScratch& scratch) {
  // Accumulating matrices start from the same output everywhere.
  AlignedVector<float> y(kLargest * matrix.out(), 0.5f);
  for (size_t row = 0; row < kLargest; row += rows) {
    scratch.Run(matrix, rows, x.data() + row * matrix.in(),
                y.data() + row * matrix.out());
  }
  return y;
}

bool SameBits(const AlignedVector<float>& a, const AlignedVector<float>& b) {
  return std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

// Whether a row has the same bits at every position of the largest tile.
bool PositionsAgree(const PackedMatrix& matrix, const AlignedVector<float>& x,
                    GemmScratch& scratch) {
  const AlignedVector<float> y = MultiplyInTiles(matrix, kLargest, x, scratch);
  for (size_t shift : {1, 7, 32}) {
    AlignedVector<float> moved = x;
    std::rotate(moved.begin(), moved.begin() + shift * matrix.in(),
                moved.end());
    AlignedVector<float> back =
        MultiplyInTiles(matrix, kLargest, moved, scratch);
    std::rotate(back.begin(), back.end() - shift * matrix.out(), back.end());
    if (!SameBits(back, y)) return false;
  }
  return true;
}

}  // namespace

absl::StatusOr<TileChoice> ChooseTiles(
    absl::Span<const PackedMatrix* const> matrices) {
  std::mt19937 random(1);
  std::normal_distribution<float> normal;
  std::array<bool, kTileSizes.size()> in_use;
  in_use.fill(true);
  GemmScratch scratch(matrices, TileChoice::All());
  for (const PackedMatrix* matrix : matrices) {
    AlignedVector<float> x(kLargest * matrix->in());
    for (float& value : x) value = normal(random);
    if (!PositionsAgree(*matrix, x, scratch)) {
      return absl::InternalError(
          "oneDNN gives a row other bits at another position on this "
          "processor: scores would depend on their neighbours");
    }
    const AlignedVector<float> y =
        MultiplyInTiles(*matrix, kLargest, x, scratch);
    for (size_t i = 0; i < kTileSizes.size(); ++i) {
      in_use[i] =
          in_use[i] &&
          SameBits(MultiplyInTiles(*matrix, kTileSizes[i], x, scratch), y);
    }
  }
  return TileChoice(in_use);
}

}  // namespace qlarank
