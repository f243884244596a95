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

#include "model/precision.h"
#include "model/precision_kernels.h"

namespace qlarank::testing {
namespace {

using ::testing::Each;

// x / scale rounded, the scale that 127 stands for x's largest magnitude.
std::vector<double> Rounded(absl::Span<const float> x) {
  double largest = 0;
  for (float value : x) largest = std::max(largest, std::abs(double{value}));
  std::vector<double> rounded;
  for (float value : x) {
    rounded.push_back(std::nearbyint(value / (largest / 127)) * largest / 127);
  }
  return rounded;
}

class Int8MatrixTest
    : public ::testing::TestWithParam<std::tuple<size_t, size_t, size_t>> {
 protected:
  // What stands behind the last row of y, which is nobody's.
  static constexpr float kBeyond = 12345.0f;

  Int8MatrixTest() : weights_(out() * in()), x_(rows() * in()) {
    std::normal_distribution<float> normal;
    for (float& weight : weights_) weight = normal(random_);
    for (float& value : x_) value = normal(random_);
  }

  void SetUp() override {
    if (!ProcessorHas(Precision::kInt8)) GTEST_SKIP() << "no int8 here";
  }

  static size_t out() { return std::get<0>(GetParam()); }
  static size_t in() { return std::get<1>(GetParam()); }
  static size_t rows() { return std::get<2>(GetParam()); }

  using Product = void (*)(const kernels::Int8Weights&, const uint8_t*,
                           const float*, size_t, float*);

  // y of `count` rows, which begins as `before`, and kBeyond behind it.
  std::vector<float> Multiply(Product multiply, absl::Span<const float> x,
                              float before) const {
    const size_t count = x.size() / in();
    const Int8Matrix matrix(weights_, out(), in());
    std::vector<uint8_t> quantized(x.size());
    std::vector<float> scales(count);
    kernels::QuantizeRows(x.data(), count, in(), quantized.data(),
                          scales.data());
    std::vector<float> y(count * out() + 64, kBeyond);
    std::fill_n(y.begin(), count * out(), before);
    multiply(matrix.weights(), quantized.data(), scales.data(), count,
             y.data());
    return y;
  }

  std::mt19937 random_{20261126};
  std::vector<float> weights_, x_;
};

TEST_P(Int8MatrixTest, MultipliesTheRoundedNumbers) {
  const std::vector<float> y = Multiply(kernels::MultiplyInt8, x_, -1.0f);
  const std::vector<float> sum = Multiply(kernels::MultiplyAddInt8, x_, 0.5f);
  const absl::Span<const float> x = x_, weights = weights_;
  for (size_t r = 0; r < rows(); ++r) {
    const std::vector<double> inputs = Rounded(x.subspan(r * in(), in()));
    for (size_t o = 0; o < out(); ++o) {
      const std::vector<double> w = Rounded(weights.subspan(o * in(), in()));
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
  for (const Product multiply :
       {kernels::MultiplyInt8, kernels::MultiplyAddInt8}) {
    const std::vector<float> together = Multiply(multiply, x_, 0.5f);
    for (size_t r = 0; r < rows(); ++r) {
      const std::vector<float> alone =
          Multiply(multiply, absl::MakeSpan(x_).subspan(r * in(), in()), 0.5f);
      ASSERT_EQ(std::memcmp(alone.data(), together.data() + r * out(),
                            out() * sizeof(float)),
                0)
          << r;
    }
  }
}

// Whole blocks of channels, parts of one, parts of a vector; and rows that do
// not fill a block of theirs.
INSTANTIATE_TEST_SUITE_P(Shapes, Int8MatrixTest,
                         ::testing::Combine(::testing::Values(8, 16, 24, 64, 72,
                                                              128, 200),
                                            ::testing::Values(8, 40, 128),
                                            ::testing::Values(1, 3, 4, 9, 64)));

}  // namespace
}  // namespace qlarank::testing
