// ChooseTiles and PartsAgree: the self-checks of model/gemm.h.

#include <algorithm>
#include <cstring>
#include <memory>
#include <random>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "model/aligned_vector.h"
#include "model/gemm.h"

namespace qlarank {
namespace {

constexpr size_t kLargest = kTileSizes.back();

// y of kLargest rows computed `rows` at a time, some of them twice where that
// leaves a remainder.
AlignedVector<float> MultiplyInTiles(const PackedMatrix& matrix, size_t rows,
                                     const AlignedVector<float>& x,
                                     GemmScratch& scratch) {
  AlignedVector<float> y(kLargest * matrix.out());
  for (size_t row = 0; row < kLargest; row += rows) {
    const size_t first = std::min(row, kLargest - rows);
    float* of_tile = y.data() + first * matrix.out();
    // Accumulating matrices start from the same output everywhere.
    std::fill_n(of_tile, rows * matrix.out(), 0.5f);
    scratch.Run(matrix, rows, x.data() + first * matrix.in(), of_tile);
  }
  return y;
}

AlignedVector<float> RandomRows(size_t width) {
  std::mt19937 random(1);
  std::normal_distribution<float> normal;
  AlignedVector<float> x(kLargest * width);
  for (float& value : x) value = normal(random);
  return x;
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
  TileChoice::InUse in_use;
  in_use.fill(true);
  GemmScratch scratch(matrices, TileChoice::All());
  for (const PackedMatrix* matrix : matrices) {
    const AlignedVector<float> x = RandomRows(matrix->in());
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

bool PartsAgree(const PackedMatrix& whole,
                absl::Span<const std::unique_ptr<const PackedMatrix>> parts) {
  std::vector<const PackedMatrix*> all = {&whole};
  for (const auto& part : parts) all.push_back(part.get());
  GemmScratch scratch(all, TileChoice::LargestOnly());
  const AlignedVector<float> x = RandomRows(whole.in());
  const AlignedVector<float> y = MultiplyInTiles(whole, kLargest, x, scratch);
  size_t first = 0;
  for (const auto& part : parts) {
    const AlignedVector<float> of_part =
        MultiplyInTiles(*part, kLargest, x, scratch);
    for (size_t row = 0; row < kLargest; ++row) {
      if (std::memcmp(of_part.data() + row * part->out(),
                      y.data() + row * whole.out() + first,
                      part->out() * sizeof(float)) != 0) {
        return false;
      }
    }
    first += part->out();
  }
  return true;
}

}  // namespace qlarank
