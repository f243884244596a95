#include "server/models/precision_choice.h"

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/requests.h"

namespace qlarank {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

std::unique_ptr<const Engine> Golden(const std::string& name,
                                     Precision precision) {
  auto engine = Engine::Create(
      testing::LoadGolden(testing::GoldenModel(name)), {precision});
  EXPECT_TRUE(engine.ok()) << engine.status();
  return *std::move(engine);
}

TEST(PrecisionChoiceTest, TakesTheFastestThatScoresAlike) {
  const auto choice = ChoosePrecision(
      [](Precision precision) { return Golden("block_l4_decay_conv", precision); });
  ASSERT_TRUE(choice.ok()) << choice.status();
  EXPECT_EQ(choice->engine->precision(), PrecisionsBySpeed()[0]);
  if (PrecisionsBySpeed()[0] != Precision::kF32) {
    EXPECT_THAT(choice->reason, HasSubstr("the fastest here"));
  }
}

// What is "in a lower precision" here is another model.
TEST(PrecisionChoiceTest, KeepsFloat32WhereNothingElseScoresAlike) {
  std::vector<Precision> asked;
  const auto choice = ChoosePrecision([&](Precision precision) {
    asked.push_back(precision);
    return Golden(
        precision == Precision::kF32 ? "dot_l1_plain" : "dot_l2_decay_conv",
        precision);
  });
  ASSERT_TRUE(choice.ok()) << choice.status();
  EXPECT_EQ(choice->engine->precision(), Precision::kF32);
  std::vector<Precision> wanted = {Precision::kF32};
  for (const Precision precision : PrecisionsBySpeed()) {
    if (precision == Precision::kF32) continue;
    wanted.push_back(precision);
    EXPECT_THAT(choice->reason,
                AllOf(HasSubstr(PrecisionName(precision)),
                      HasSubstr("at most 0.02 is allowed")));
  }
  EXPECT_EQ(asked, wanted);
}

TEST(PrecisionChoiceTest, SaysWhyAModelDoesNotLoad) {
  const auto choice = ChoosePrecision([](Precision) {
    return absl::StatusOr<std::unique_ptr<const Engine>>(
        absl::InternalError("no room"));
  });
  EXPECT_EQ(choice.status(), absl::InternalError("no room"));
}

TEST(PrecisionChoiceTest, ErrorsAreShares) {
  const auto exact = Golden("dot_l1_plain", Precision::kF32);
  EXPECT_EQ(ScoreError(*exact, *exact), 0);
  EXPECT_GT(ScoreError(*Golden("dot_l2_decay_conv", Precision::kF32), *exact),
            .5);
}

}  // namespace
}  // namespace qlarank
