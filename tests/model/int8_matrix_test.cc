// Products in 8 bits: of what the rounded rows and weights are, in double; of
// any shape; and of each row alone.

#include "model/int8_matrix.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <random>
#include <tuple>
#include <vector>

#include "absl/strings/str_cat.h"
#include "model/precision.h"
#include "model/precision_kernels.h"

namespace qlarank::testing {
namespace {

using ::testing::Each;

// x / scale rounded, the scale that `levels` stands for x's largest magnitude.
std::vector<double> Rounded(absl::Span<const float> x, int levels) {
  double largest = 0;
  for (float value : x) largest = std::max(largest, std::abs(double{value}));
  std::vector<double> rounded;
  for (float value : x) {
    rounded.push_back(std::nearbyint(value / (largest / levels)) * largest /
                      levels);
  }
  return rounded;
}

// Those that this processor can run.
std::vector<const kernels::Int8Kernels*> AllKernels() {
  std::vector<const kernels::Int8Kernels*> all;
  if (Int8KernelsOfProcessor() == &kernels::kVnniInt8) {
    all.push_back(&kernels::kVnniInt8);
  }
  if (Int8KernelsOfProcessor() != nullptr) all.push_back(&kernels::kAvx2Int8);
  return all;
}

// Kernels, outputs, inputs, rows.
class Int8MatrixTest
    : public ::testing::TestWithParam<
          std::tuple<const kernels::Int8Kernels*, size_t, size_t, size_t>> {
 protected:
  // What stands behind the last row of y, which is nobody's.
  static constexpr float kBeyond = 12345.0f;

  Int8MatrixTest() : weights_(out() * in()), x_(rows() * in()) {
    std::normal_distribution<float> normal;
    for (float& weight : weights_) weight = normal(random_);
    for (float& value : x_) value = normal(random_);
  }

  static const kernels::Int8Kernels& int8() { return *std::get<0>(GetParam()); }
  static size_t out() { return std::get<1>(GetParam()); }
  static size_t in() { return std::get<2>(GetParam()); }
  static size_t rows() { return std::get<3>(GetParam()); }

  // y of `count` rows, which begins as `before`, and kBeyond behind it.
  std::vector<float> Multiply(bool adds, absl::Span<const float> x,
                              float before) const {
    const size_t count = x.size() / in();
    const Int8Matrix matrix(weights_, out(), in(), int8());
    std::vector<uint8_t> quantized(x.size());
    std::vector<float> scales(count);
    kernels::QuantizeRows(x.data(), count, in(), int8().input_levels,
                          quantized.data(), scales.data());
    std::vector<float> y(count * out() + 64, kBeyond);
    std::fill_n(y.begin(), count * out(), before);
    matrix.Run(quantized.data(), scales.data(), count, adds, y.data());
    return y;
  }

  std::mt19937 random_{20261126};
  std::vector<float> weights_, x_;
};

TEST_P(Int8MatrixTest, MultipliesTheRoundedNumbers) {
  const std::vector<float> y = Multiply(/*adds=*/false, x_, -1.0f);
  const std::vector<float> sum = Multiply(/*adds=*/true, x_, 0.5f);
  const absl::Span<const float> x = x_, weights = weights_;
  for (size_t r = 0; r < rows(); ++r) {
    const std::vector<double> inputs =
        Rounded(x.subspan(r * in(), in()), int8().input_levels);
    for (size_t o = 0; o < out(); ++o) {
      const std::vector<double> w =
          Rounded(weights.subspan(o * in(), in()), int8().weight_levels);
      double expected = 0, size = 0;
      for (size_t i = 0; i < in(); ++i) {
        expected += w[i] * inputs[i];
        size += std::abs(w[i] * inputs[i]);
      }
      const double tolerance = 1e-6 * (1 + size);
      ASSERT_NEAR(y[r * out() + o], expected, tolerance) << r << ", " << o;
      ASSERT_NEAR(sum[r * out() + o], 0.5 + expected, tolerance)
          << r << ", " << o;
    }
  }
  const auto beyond = [&](const std::vector<float>& written) {
    return absl::MakeSpan(written).subspan(rows() * out());
  };
  EXPECT_THAT(beyond(y), Each(kBeyond));
  EXPECT_THAT(beyond(sum), Each(kBeyond));
}

TEST_P(Int8MatrixTest, ARowHasTheSameBitsAlone) {
  for (const bool adds : {false, true}) {
    const std::vector<float> together = Multiply(adds, x_, 0.5f);
    for (size_t r = 0; r < rows(); ++r) {
      const std::vector<float> alone =
          Multiply(adds, absl::MakeSpan(x_).subspan(r * in(), in()), 0.5f);
      ASSERT_EQ(std::memcmp(alone.data(), together.data() + r * out(),
                            out() * sizeof(float)),
                0)
          << r;
    }
  }
}

// What would not be exact if sums overflowed on the way: every weight and every
// input as large as it can be.
TEST_P(Int8MatrixTest, TheLargestNumbersDoNotOverflow) {
  std::fill(weights_.begin(), weights_.end(), -1.0f);
  std::fill(x_.begin(), x_.end(), 1.0f);
  const std::vector<float> y = Multiply(/*adds=*/false, x_, 0.0f);
  for (size_t i = 0; i < rows() * out(); ++i) {
    ASSERT_NEAR(y[i], -static_cast<double>(in()), 1e-5 * in()) << i;
  }
}

// Whole blocks of channels, parts of one, parts of a vector; and rows that do
// not fill a block of theirs.
INSTANTIATE_TEST_SUITE_P(
    Shapes, Int8MatrixTest,
    ::testing::Combine(::testing::ValuesIn(AllKernels()),
                       ::testing::Values(8, 16, 24, 64, 72, 128, 200),
                       ::testing::Values(8, 40, 128),
                       ::testing::Values(1, 3, 4, 9, 64)),
    [](const auto& info) {
      const bool avx2 = std::get<0>(info.param) == &kernels::kAvx2Int8;
      return absl::StrCat(avx2 ? "AVX2_" : "VNNI_", std::get<1>(info.param),
                          "_", std::get<2>(info.param), "_",
                          std::get<3>(info.param));
    });
// A processor without any has none of these tests.
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(Int8MatrixTest);

}  // namespace
}  // namespace qlarank::testing
