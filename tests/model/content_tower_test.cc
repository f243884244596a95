#include "model/content_tower.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "hwy/highway.h"
#include "model/kernels.h"
#include "model/sha256.h"
#include "tests/model/golden.h"

namespace qlarank::testing {
namespace {

constexpr char kModel[] = "content_block_l2_memory";

class ContentTowerTest : public ::testing::Test {
 protected:
  ContentTowerTest()
      : model_(LoadGoldenModel(kModel)),
        tower_(*model_.engine->content_tower()) {}

  std::vector<float> Row(const ItemContent& content) const {
    ContentTower::Row row = tower_.MakeRow(content);
    row.embedding.push_back(row.bias);
    return row.embedding;
  }
  std::vector<float> OfTags(std::vector<std::string> cells) const {
    return Row({{{"tags", std::move(cells)}}, {}});
  }
  std::vector<float> OfPrice(double price) const {
    return Row({{}, {{"price", price}}});
  }

  const GoldenModel model_;
  const ContentTower& tower_;
};

TEST_F(ContentTowerTest, IsNotThereWithoutContent) {
  EXPECT_EQ(LoadGoldenModel("dot_l1_plain").engine->content_tower(), nullptr);
}

// Each is rounded to float32 once, from sums in double.
TEST_F(ContentTowerTest, MakesTheRowsThatTheTrainerMakes) {
  ASSERT_EQ(model_.contents.size(), 6);
  for (const GoldenContent& golden : model_.contents) {
    const ContentTower::Row row = tower_.MakeRow(golden.content);
    ASSERT_EQ(row.embedding.size(), golden.embedding.size());
    for (size_t i = 0; i < row.embedding.size(); ++i) {
      EXPECT_FLOAT_EQ(row.embedding[i], golden.embedding[i]) << i;
    }
    EXPECT_FLOAT_EQ(row.bias, golden.bias);
  }
}

TEST_F(ContentTowerTest, TakesValuesFromOneCellOrSeveral) {
  EXPECT_EQ(OfTags({"a|c"}), OfTags({"c", "a"}));
  EXPECT_EQ(OfTags({"a|c"}), OfTags({" c\n|a", "a", ""}));
  EXPECT_NE(OfTags({"a|c"}), OfTags({"a"}));
  // A value that is unknown takes part in the mean, one that is empty does not.
  EXPECT_NE(OfTags({"a|z"}), OfTags({"a"}));
  EXPECT_NE(OfTags({"a|y|z"}), OfTags({"a|z"}));
  EXPECT_EQ(OfTags({"a||"}), OfTags({"a"}));
  EXPECT_EQ(OfTags({"z"}), OfTags({}));
  EXPECT_EQ(OfTags({"y|z"}), Row({}));
}

TEST_F(ContentTowerTest, BoundsWhatANumberCounts) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  // The golden model's price has mean 2.5 and scale .75.
  EXPECT_EQ(OfPrice(std::nan("")), Row({}));
  EXPECT_EQ(OfPrice(2.5), Row({}));
  EXPECT_NE(OfPrice(2.6), Row({}));
  EXPECT_EQ(OfPrice(2.5 + 1000 * .75), OfPrice(kInfinity));
  EXPECT_EQ(OfPrice(2.5 - 1001 * .75), OfPrice(-kInfinity));
  EXPECT_NE(OfPrice(2.5 + 999 * .75), OfPrice(kInfinity));
}

TEST_F(ContentTowerTest, PassesOverWhatTheModelDoesNotKnow) {
  EXPECT_EQ(Row({{{"shelf", {"a"}}}, {{"tags", 3}}}), Row({}));
}

// Committed: rows must not change, as states are made of them.
TEST_F(ContentTowerTest, HasTheSameBitsOnEveryInstructionSet) {
  const auto digest = [&] {
    std::vector<float> values;
    for (const GoldenContent& golden : model_.contents) {
      const std::vector<float> row = Row(golden.content);
      values.insert(values.end(), row.begin(), row.end());
    }
    return Sha256Hex({reinterpret_cast<const char*>(values.data()),
                      values.size() * sizeof(float)});
  };
  const int64_t targets = hwy::SupportedTargets();
  for (int64_t rest = targets; rest != 0; rest &= rest - 1) {
    hwy::SetSupportedTargetsForTest(rest & -rest);
    hwy::GetChosenTarget().DeInit();
    EXPECT_EQ(digest(),
              "1110b9f01d13f82731eb20fce095c11581b2202af4fb9a052842afb8b752142d")
        << kernels::TargetName();
  }
  hwy::SetSupportedTargetsForTest(0);
  hwy::GetChosenTarget().DeInit();
}

}  // namespace
}  // namespace qlarank::testing
