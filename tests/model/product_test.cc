// The float32 product, on every instruction set that this processor has: the
// bits of one fused multiply-add after the other, in any shape, of any number
// of rows; and what becomes of its sums.

#include "model/product.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <string>
#include <tuple>
#include <vector>

#include "hwy/highway.h"
#include "model/canary.h"
#include "model/kernels.h"

namespace qlarank::testing {
namespace {

using kernels::Ending;

constexpr float kBeyond = 12345.0f;

void UseTarget(int64_t target) {
  hwy::SetSupportedTargetsForTest(target);
  hwy::GetChosenTarget().DeInit();
}

bool SameBits(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() &&
         std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

// A product of a shape, with weights and rows at random.
class RandomProduct {
 public:
  RandomProduct(size_t columns, size_t in, size_t rows, std::mt19937& random)
      : columns_(columns),
        in_(in),
        rows_(rows),
        weights_(2 * columns * in),
        x_(rows * in) {
    std::normal_distribution<float> normal;
    for (float& weight : weights_) weight = normal(random);
    for (float& value : x_) value = normal(random);
  }

  // What is defined: in order, one rounding a step. [rows, of_weights]
  std::vector<float> Sums(size_t of_weights) const {
    std::vector<float> sums;
    for (size_t row = 0; row < rows_; ++row) {
      for (size_t o = 0; o < of_weights; ++o) {
        float sum = 0;
        for (size_t i = 0; i < in_; ++i) {
          sum = std::fma(x_[row * in_ + i], weights_[o * in_ + i], sum);
        }
        sums.push_back(sum);
      }
    }
    return sums;
  }

  // Rows further apart than they are long, kBeyond between and behind them.
  std::vector<float> Spread(const std::vector<float>& dense) const {
    std::vector<float> spread(rows_ * stride(), kBeyond);
    for (size_t row = 0; row < rows_; ++row) {
      std::copy_n(dense.begin() + row * columns_, columns_,
                  spread.begin() + row * stride());
    }
    return spread;
  }

  std::vector<float> Multiply(Ending ending, std::vector<float> y) const {
    const size_t of_weights = columns_ * (ending == Ending::kGate ? 2 : 1);
    const auto panels = kernels::PackPanels(
        absl::MakeConstSpan(weights_).first(of_weights * in_), in_, ending);
    kernels::MultiplyWeights({panels.data(), in_, columns_, ending}, x_.data(),
                             rows_, y.data(), stride());
    return y;
  }
  std::vector<float> Multiply(Ending ending) const {
    return Multiply(ending, std::vector<float>(rows_ * stride(), kBeyond));
  }

 private:
  size_t stride() const { return columns_ + 24; }

  size_t columns_, in_, rows_;
  std::vector<float> weights_, x_;
};

// Target, columns.
class ProductTest
    : public ::testing::TestWithParam<std::tuple<int64_t, size_t>> {
 protected:
  ProductTest() { UseTarget(std::get<0>(GetParam())); }
  ~ProductTest() override { UseTarget(0); }

  static size_t columns() { return std::get<1>(GetParam()); }

  // Blocks of rows of every size, alone and after others.
  template <typename Check>
  void ForEveryShape(Check check) {
    for (const size_t in : {8, 40, 128}) {
      for (const size_t rows : {1, 2, 3, 4, 5, 6, 7, 8, 11, 13, 64}) {
        SCOPED_TRACE(::testing::Message()
                     << in << " inputs, " << rows << " rows");
        check(RandomProduct(columns(), in, rows, random_), rows);
      }
    }
  }

 private:
  std::mt19937 random_{20261130};
};

TEST_P(ProductTest, StoresAndAddsTheSumsInOrder) {
  ForEveryShape([&](const RandomProduct& product, size_t rows) {
    std::vector<float> sums = product.Sums(columns());
    EXPECT_TRUE(
        SameBits(product.Multiply(Ending::kStore), product.Spread(sums)));
    for (float& sum : sums) sum = 0.75f + sum;
    const auto before =
        product.Spread(std::vector<float>(rows * columns(), 0.75f));
    EXPECT_TRUE(
        SameBits(product.Multiply(Ending::kAdd, before), product.Spread(sums)));
  });
}

TEST_P(ProductTest, ActivatesAndGatesTheSums) {
  ForEveryShape([&](const RandomProduct& product, size_t rows) {
    std::vector<float> silu = product.Sums(columns());
    kernels::SiluRows(rows, columns(), columns(), silu.data());
    EXPECT_TRUE(
        SameBits(product.Multiply(Ending::kSilu), product.Spread(silu)));

    const std::vector<float> pr = product.Sums(2 * columns());
    std::vector<float> gated(rows * columns());
    kernels::GatedSilu(pr.data(), rows, columns(), gated.data());
    EXPECT_TRUE(
        SameBits(product.Multiply(Ending::kGate), product.Spread(gated)));
  });
}

// Whole groups of panels, parts of one, half a panel.
INSTANTIATE_TEST_SUITE_P(
    Columns, ProductTest,
    ::testing::Combine(::testing::ValuesIn(hwy::SupportedAndGeneratedTargets()),
                       ::testing::Values(8, 16, 24, 40, 64, 88, 128, 200)),
    [](const auto& info) {
      return std::string(hwy::TargetName(std::get<0>(info.param))) + "_" +
             std::to_string(std::get<1>(info.param));
    });

// Functions of our own against those of the C library, in double.
class FunctionsTest : public ::testing::TestWithParam<int64_t> {
 protected:
  FunctionsTest() { UseTarget(GetParam()); }
  ~FunctionsTest() override { UseTarget(0); }

  static float Silu(float x) {
    std::vector<float> values(8, x);
    kernels::SiluRows(1, 8, 8, values.data());
    return values[3];
  }

  // alpha / max(c, 1) for a rate and alpha = 1.
  static float Scale(double rate, uint64_t n) {
    const std::vector<double> rates(kernels::kHeadPadding, rate);
    const std::vector<double> alpha(kernels::kHeadPadding, 1.0);
    std::vector<double> inverse(kernels::kHeadPadding);
    kernels::Losses(rates.data(), rates.size(), inverse.data());
    for (double& loss : inverse) loss = loss > 0 ? 1 / loss : 0;
    std::vector<float> scales(kernels::kHeadPadding);
    kernels::ReadoutScales({rates.data(), inverse.data(), alpha.data()},
                           kernels::kHeadPadding, n, scales.data());
    return scales[1];
  }
};

TEST_P(FunctionsTest, SiluIsWithinAFewUnitsInTheLastPlace) {
  for (double x = -100; x <= 100; x += 0.0137) {
    const float value = static_cast<float>(x);
    const double expected = value / (1 + std::exp(-double{value}));
    EXPECT_NEAR(Silu(value), expected,
                2e-7 * (1 + std::abs(x) / 8) * std::abs(expected) + 2e-36)
        << value;
  }
  EXPECT_EQ(Silu(0.0f), 0.0f);
  EXPECT_EQ(Silu(1e30f), 1e30f);
}

TEST_P(FunctionsTest, SiluOfWhatIsNotFiniteIsNot) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  EXPECT_TRUE(std::isnan(Silu(std::numeric_limits<float>::quiet_NaN())));
  EXPECT_FALSE(std::isfinite(Silu(kInfinity)));
  EXPECT_FALSE(std::isfinite(Silu(-kInfinity)));
}

TEST_P(FunctionsTest, ExpIsThatOfTheLibraryInDouble) {
  for (double x = -20; x <= 20; x += 0.0937) {
    EXPECT_NEAR(kernels::Exp(x), std::exp(x), 1e-14 * std::exp(x)) << x;
  }
}

TEST_P(FunctionsTest, LossesKeepTheirDigitsHoweverSmall) {
  for (const double rate :
       {0.0, 1e-300, 1e-12, 1e-5, 0.03, 0.3466, 0.5, 1.0, 7.0, 40.0, 1e4}) {
    const std::vector<double> rates(kernels::kHeadPadding, rate);
    std::vector<double> losses(kernels::kHeadPadding);
    kernels::Losses(rates.data(), rates.size(), losses.data());
    const double expected = -std::expm1(-rate);
    for (const double loss : losses) {
      EXPECT_NEAR(loss, expected, 4e-16 * expected) << rate;
    }
  }
}

TEST_P(FunctionsTest, ScalesAreThoseOfTheDecayedCount) {
  for (const double rate : {0.0, 1e-9, 1e-5, 3e-4, 0.1, 2.0, 50.0}) {
    long double count = 0;
    const long double decay = std::exp(-static_cast<long double>(rate));
    for (uint64_t n = 0; n <= 3000; ++n) {
      const double expected = static_cast<double>(1 / std::max(count, 1.0L));
      EXPECT_NEAR(Scale(rate, n), expected, 1e-7 * expected)
          << "rate " << rate << ", " << n << " events";
      count = decay * count + 1;
    }
  }
  // A million events, and as many as there can be.
  EXPECT_NEAR(Scale(1e-5, 1'000'000), 1e-5 / (1 - std::exp(-10.0)), 1e-10);
  EXPECT_NEAR(Scale(0, 1'000'000), 1e-6, 1e-13);
  EXPECT_NEAR(Scale(1e-5, uint64_t{1} << 62), 1e-5, 1e-10);
}

TEST_P(FunctionsTest, AProcessorWithoutVectorsOfOursIsRefused) {
  const bool plain = GetParam() == HWY_SCALAR || GetParam() == HWY_EMU128;
  const absl::Status status = CheckProcessor();
  EXPECT_EQ(status.code(), plain ? absl::StatusCode::kFailedPrecondition
                                 : absl::StatusCode::kOk)
      << status;
}

TEST_P(FunctionsTest, TheCanaryHasTheCommittedDigest) {
  EXPECT_EQ(CheckArithmetic(), absl::OkStatus());
}

INSTANTIATE_TEST_SUITE_P(
    Targets, FunctionsTest,
    ::testing::ValuesIn(hwy::SupportedAndGeneratedTargets()),
    [](const auto& info) { return hwy::TargetName(info.param); });

#if HWY_ARCH_ARM_A64
// Neither plain C++ nor SVE, where the processor has that.
TEST(TargetsTest, OfArm64IsNeon) { EXPECT_EQ(kernels::TargetName(), "NEON"); }
#endif

}  // namespace
}  // namespace qlarank::testing
