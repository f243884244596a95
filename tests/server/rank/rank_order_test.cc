#include "server/rank/rank_order.h"

#include <limits>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace qlarank {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

std::vector<uint32_t> Top(const std::vector<float>& logits,
                          const std::vector<double>& weights, size_t top_k) {
  return TopByValue(logits, weights, top_k);
}

TEST(RankOrderTest, BestFirst) {
  EXPECT_THAT(Top({1, 3, 2}, {1}, 2), ElementsAre(1, 2));
  EXPECT_THAT(Top({1, 3, 2}, {-1}, 3), ElementsAre(0, 2, 1));
}

TEST(RankOrderTest, OneTaskIsOrderedByItsLogitHoweverHigh) {
  // The sigmoids of both are 1 in float64.
  EXPECT_THAT(Top({40, 41}, {1}, 2), ElementsAre(1, 0));
  EXPECT_THAT(Top({0, 40, 0, 41}, {0, 2}, 2), ElementsAre(1, 0));
  EXPECT_THAT(Top({-800, -900}, {-1}, 2), ElementsAre(1, 0));
}

TEST(RankOrderTest, AddsTheTasksUp) {
  // sigmoid saturates: two good tasks beat one excellent one.
  EXPECT_THAT(Top({9, -9, 2, 2}, {1, 1}, 2), ElementsAre(1, 0));
  EXPECT_THAT(Top({9, -9, 2, 2}, {1, 0}, 2), ElementsAre(0, 1));
}

TEST(RankOrderTest, TiesKeepTheOrderOfTheRequest) {
  EXPECT_THAT(Top({1, 1, 1, 2, 1}, {1}, 4), ElementsAre(3, 0, 1, 2));
}

TEST(RankOrderTest, LeavesOutWhatWasNotScored) {
  EXPECT_THAT(Top({kNan, 1, kNan, 2}, {1}, 4), ElementsAre(3, 1));
  EXPECT_THAT(Top({kNan}, {1}, 1), IsEmpty());
}

}  // namespace
}  // namespace qlarank
