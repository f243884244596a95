// The loops that shares are shares of: they multiply and add, all of what they
// count, and nobody is faster.
#include "bench/fma_peak.h"

#include <algorithm>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "bench/gemm_peak.h"
#include "gtest/gtest.h"

namespace qlarank::bench {
namespace {

constexpr size_t kVectorBytes = 64;
constexpr size_t kTileRows = 16;
constexpr int64_t kSteps = 3;

// 8 bits: a's without sign, and small enough that two products fit 16 bits.
// The others: whole numbers that bf16 holds, so that sums are exact.
std::vector<int> Operands(const PeakLoop& loop, bool unsigned_8, int seed) {
  std::mt19937 random(seed);
  std::vector<int> values((loop.tiles ? kTileRows : 1) * kVectorBytes);
  for (int& value : values) {
    value = static_cast<int>(random() % 64) - (unsigned_8 ? 0 : 32);
  }
  return values;
}

// As the loop reads them; of floats and bf16 fewer fit.
std::vector<char> Encoded(const PeakLoop& loop,
                          const std::vector<int>& values) {
  std::vector<char> bytes(values.size());
  for (size_t i = 0; i < values.size(); ++i) {
    if (loop.precision == Precision::kInt8) {
      bytes[i] = static_cast<char>(values[i]);
      continue;
    }
    const float value = static_cast<float>(values[i]);
    const size_t width = loop.precision == Precision::kF32 ? 4 : 2;
    if ((i + 1) * width > bytes.size()) break;
    // bf16 is a float's upper half.
    std::memcpy(&bytes[i * width],
                reinterpret_cast<const char*>(&value) + 4 - width, width);
  }
  return bytes;
}

// What a lane of a vector, or a row and column of a tile, sums up in a step.
int Dot(const PeakLoop& loop, const std::vector<int>& a,
        const std::vector<int>& b, size_t lane) {
  int sum = 0;
  for (size_t k = 0; k < loop.depth; ++k) {
    if (!loop.tiles) {
      sum += a[lane * loop.depth + k] * b[lane * loop.depth + k];
      continue;
    }
    // Columns of b lie in groups that fill 32 bits.
    const size_t group = loop.precision == Precision::kInt8 ? 4 : 2;
    const size_t row = lane / kTileRows, column = lane % kTileRows;
    sum += a[row * loop.depth + k] *
           b[k / group * loop.depth + column * group + k % group];
  }
  return sum;
}

template <typename Sum>
void ExpectSums(const PeakLoop& loop) {
  const std::vector<int> a = Operands(loop, /*unsigned_8=*/true, 1);
  const std::vector<int> b = Operands(loop, /*unsigned_8=*/false, 2);
  const std::vector<char> a_bytes = Encoded(loop, a);
  const std::vector<char> b_bytes = Encoded(loop, b);
  alignas(kVectorBytes) static char a_aligned[1024], b_aligned[1024];
  std::copy(a_bytes.begin(), a_bytes.end(), a_aligned);
  std::copy(b_bytes.begin(), b_bytes.end(), b_aligned);
  alignas(kVectorBytes) static Sum sums[1024];
  const size_t count = loop.vectors * loop.lanes;
  ASSERT_LE(count, std::size(sums));
  for (size_t i = 0; i < count; ++i) sums[i] = static_cast<Sum>(1000 + i);
  loop.run(kSteps, a_aligned, b_aligned, sums);
  for (size_t i = 0; i < count; ++i) {
    const int wanted = static_cast<int>(1000 + i) +
                       kSteps * Dot(loop, a, b, i % loop.lanes);
    ASSERT_EQ(sums[i], static_cast<Sum>(wanted)) << "sum " << i;
  }
}

class FmaPeakTest : public testing::TestWithParam<size_t> {
 protected:
  const PeakLoop& loop() const { return PeakLoops()[GetParam()]; }
  void SetUp() override {
    if (!loop().supported()) {
      GTEST_SKIP() << "this processor has no " << loop().instructions;
    }
  }
};

TEST_P(FmaPeakTest, SumsUpEveryProductThatItCounts) {
  if (loop().precision == Precision::kInt8) {
    ExpectSums<int32_t>(loop());
  } else {
    ExpectSums<float>(loop());
  }
}

// Three units at most have ever done the like in one cycle, and a loop that
// waits for its sums takes four cycles and more for each, of tiles 52. A loop
// that is wrong is out of these bounds whenever it is tried; one that is right
// is within them once nobody else has the processor for some milliseconds.
TEST_P(FmaPeakTest, IsBoundByItsPorts) {
  const double instruction = loop().operations_per_step() / loop().vectors;
  // One of tiles takes sixteen cycles; two threads of a core share the unit.
  const double least = loop().tiles ? instruction / 45 : instruction / 3;
  const double most = loop().tiles ? instruction / 12 : instruction * 3;
  const absl::Time end = absl::Now() + absl::Seconds(10);
  double per_cycle = 0;
  do {
    const double clock = ClockHz(absl::Milliseconds(2));
    per_cycle = OperationsPerSecond(loop(), absl::Milliseconds(2)) / clock;
  } while ((per_cycle <= least || per_cycle >= most) && absl::Now() < end);
  EXPECT_GT(per_cycle, least);
  EXPECT_LT(per_cycle, most);
}

INSTANTIATE_TEST_SUITE_P(
    All, FmaPeakTest, testing::Range<size_t>(0, PeakLoops().size()),
    [](const testing::TestParamInfo<size_t>& info) {
      const PeakLoop& loop = PeakLoops()[info.param];
      return std::string(PrecisionName(loop.precision)) + "_" +
             loop.instructions;
    });

class LibraryTest : public testing::TestWithParam<Precision> {};

TEST_P(LibraryTest, IsNotFasterThanThePeak) {
  if (!ProcessorHas(GetParam()) || !HasPeak(GetParam())) {
    GTEST_SKIP() << "this processor does not have it";
  }
  const FastestProduct& product = FastestProduct::Of(GetParam());
  // The best of each grow with the turns. A loop that is slower stays so; one
  // that is not catches up, whoever had the other half of the core before.
  const absl::Time end = absl::Now() + absl::Seconds(10);
  double library = 0, peak = 0;
  int turns = 0;
  do {
    library = std::max(library, product.MeasureAgain(absl::Milliseconds(5)));
    // All loops: which of them is the fastest may be judged wrongly, too.
    for (const PeakLoop& loop : PeakLoops()) {
      if (loop.precision != GetParam() || !loop.supported()) continue;
      peak = std::max(peak, OperationsPerSecond(loop, absl::Milliseconds(5)));
    }
  } while (++turns < 10 || (peak <= .97 * library && absl::Now() < end));
  // Clocks differ from one turn to the next.
  EXPECT_GT(peak, .97 * library);
}

INSTANTIATE_TEST_SUITE_P(All, LibraryTest,
                         testing::Values(Precision::kF32, Precision::kBf16,
                                         Precision::kInt8),
                         [](const testing::TestParamInfo<Precision>& info) {
                           return PrecisionName(info.param);
                         });

}  // namespace
}  // namespace qlarank::bench
