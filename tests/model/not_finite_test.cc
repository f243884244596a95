// What cannot be computed is never a plausible number: NaN goes in, or a
// product fails, and NaN comes out, in every precision.
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <tuple>
#include <vector>

#include "gtest/gtest.h"
#include "hwy/highway.h"
#include "model/engine.h"
#include "model/precision.h"
#include "model/precision_kernels.h"
#include "tests/model/golden.h"
#include "tests/testing/failing_products.h"

namespace qlarank::testing {
namespace {

constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();
constexpr float kInfinity = std::numeric_limits<float>::infinity();

// One of each way in which candidates read states.
class NotFiniteTest
    : public ::testing::TestWithParam<std::tuple<std::string, Precision>> {
 protected:
  NotFiniteTest()
      : model_(LoadGoldenModel(std::get<0>(GetParam()), precision())),
        scratch_(model_.engine->NewScratch()) {}
  ~NotFiniteTest() override { products_fail = bf16_products_fail = false; }

  static Precision precision() { return std::get<1>(GetParam()); }

  void SetUp() override {
    if (!ProcessorHas(precision())) {
      GTEST_SKIP() << "no " << PrecisionName(precision())
                   << " on this processor";
    }
  }

  std::vector<float> Score(const UserState& state) {
    const GoldenCase& golden = model_.cases.front();
    const auto reading = model_.engine->Read(
        state, {golden.request_time_us, {}, golden.context_rows}, *scratch_);
    std::vector<float> scores(golden.item_rows.size() *
                              model_.engine->num_tasks());
    model_.engine->Score(*reading, golden.item_rows, golden.candidate_features,
                         absl::MakeSpan(scores), *scratch_);
    return scores;
  }

  void ExpectNoScoreIsFinite(const std::vector<float>& scores) {
    ASSERT_FALSE(scores.empty());
    EXPECT_FALSE(AllFinite(scores));
    for (const float score : scores) EXPECT_FALSE(std::isfinite(score));
  }

  GoldenModel model_;
  std::unique_ptr<EngineScratch> scratch_;
};

TEST_P(NotFiniteTest, AStateThatIsNotFiniteGivesNoScore) {
  const auto healthy = FoldHistory(model_, "long", 100);
  ASSERT_TRUE(AllFinite(Score(*healthy)));
  ASSERT_TRUE(AllFinite(healthy->values));
  for (const size_t place :
       {size_t{0}, healthy->values.size() / 3, healthy->values.size() - 1}) {
    SCOPED_TRACE(place);
    UserState state = *healthy;
    state.values[place] = kNaN;
    EXPECT_FALSE(AllFinite(state.values));
    ExpectNoScoreIsFinite(Score(state));
  }
}

TEST_P(NotFiniteTest, AFailedProductGivesNoScoreAndNoState) {
  const auto healthy = FoldHistory(model_, "long", 100);
  products_fail = true;
  ExpectNoScoreIsFinite(Score(*healthy));
  const std::vector<ModelEvent> events = model_.histories.at("long").First(103);
  FoldJob job{healthy, absl::MakeConstSpan(events).subspan(100), nullptr};
  model_.engine->Fold(absl::MakeSpan(&job, 1), *scratch_);
  EXPECT_FALSE(AllFinite(job.after->values));
  products_fail = false;
  EXPECT_TRUE(AllFinite(Score(*healthy)));
}

// Models whose candidates take products in bf16.
class Bf16NotFiniteTest : public NotFiniteTest {};

// What oneDNN leaves of a product is no score, though all before was computed.
TEST_P(Bf16NotFiniteTest, AFailedProductInBf16AloneGivesNoScore) {
  const auto healthy = FoldHistory(model_, "long", 100);
  bf16_products_fail = true;
  ExpectNoScoreIsFinite(Score(*healthy));
  bf16_products_fail = false;
  EXPECT_TRUE(AllFinite(Score(*healthy)));
}

INSTANTIATE_TEST_SUITE_P(
    Models, NotFiniteTest,
    ::testing::Combine(
        ::testing::Values("dot_l1_plain", "block_l1_silu_features",
                          "all_l4_decay_conv_everything"),
        ::testing::Values(Precision::kF32, Precision::kBf16, Precision::kInt8)),
    [](const auto& info) {
      return std::get<0>(info.param) + "_" +
             PrecisionName(std::get<1>(info.param));
    });

INSTANTIATE_TEST_SUITE_P(
    Models, Bf16NotFiniteTest,
    ::testing::Combine(::testing::Values("block_l1_silu_features",
                                         "all_l4_decay_conv_everything"),
                       ::testing::Values(Precision::kBf16)),
    [](const auto& info) { return std::get<0>(info.param); });

TEST(QuantizeRowsTest, ARowThatIsNotFiniteHasNoScale) {
  constexpr size_t kWidth = 32;
  for (const float poison : {kNaN, -kNaN, kInfinity, -kInfinity}) {
    for (size_t place = 0; place < kWidth; ++place) {
      std::vector<float> rows(3 * kWidth, 0.5f);
      rows[kWidth + place] = poison;
      std::vector<uint8_t> quantized(rows.size());
      float scales[3];
      kernels::QuantizeRows(rows.data(), 3, kWidth, 127, quantized.data(),
                            scales);
      EXPECT_EQ(scales[0], 0.5f / 127);
      EXPECT_TRUE(std::isnan(scales[1])) << poison << " at " << place;
      EXPECT_EQ(scales[2], 0.5f / 127);
    }
  }
}

TEST(ToBf16Test, KeepsWhatIsNotFinite) {
  const auto from_bits = [](uint32_t bits) {
    return std::bit_cast<float>(bits);
  };
  // Every payload of a NaN: the largest would round up into the sign.
  for (const uint32_t bits : {0x7fc00000u, 0x7f800001u, 0x7fffffffu,
                              0xffffffffu, 0xffc00000u, 0xff800001u}) {
    std::vector<float> values(16, 1.0f);
    values[3] = from_bits(bits);
    std::vector<uint16_t> out(values.size());
    kernels::ToBf16(values.data(), values.size(), out.data());
    EXPECT_TRUE(std::isnan(from_bits(uint32_t{out[3]} << 16)))
        << std::hex << bits << " became " << out[3];
    EXPECT_EQ(out[2], 0x3f80);
  }
  const std::vector<float> values(16, -kInfinity);
  std::vector<uint16_t> out(values.size());
  kernels::ToBf16(values.data(), values.size(), out.data());
  EXPECT_EQ(out[0], 0xff80);
}

// On every instruction set that this processor has.
class AllFiniteTest : public ::testing::TestWithParam<int64_t> {
 protected:
  AllFiniteTest() { Use(GetParam()); }
  ~AllFiniteTest() override { Use(0); }

  static void Use(int64_t target) {
    hwy::SetSupportedTargetsForTest(target);
    hwy::GetChosenTarget().DeInit();
  }
};

TEST_P(AllFiniteTest, SeesEveryPlace) {
  for (const size_t size : {1u, 15u, 16u, 17u, 100u}) {
    std::vector<float> values(size, std::numeric_limits<float>::max());
    EXPECT_TRUE(AllFinite(values));
    for (size_t i = 0; i < size; ++i) {
      for (const float poison : {kNaN, kInfinity, -kInfinity}) {
        std::vector<float> bad = values;
        bad[i] = poison;
        EXPECT_FALSE(AllFinite(bad)) << i << " of " << size;
      }
    }
  }
  EXPECT_TRUE(AllFinite({}));
}

INSTANTIATE_TEST_SUITE_P(
    Targets, AllFiniteTest,
    ::testing::ValuesIn(hwy::SupportedAndGeneratedTargets()),
    [](const auto& info) { return hwy::TargetName(info.param); });

}  // namespace
}  // namespace qlarank::testing
