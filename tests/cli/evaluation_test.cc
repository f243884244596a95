#include <cmath>

#include "cli/basket_data.h"
#include "cli/ranking_quality.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/cli/run_cli.h"

namespace qlarank {
namespace {

using testing::ElementsAre;

TEST(RankingQualityTest, AveragesOverUsers) {
  RankingQuality quality(2);
  quality.Add({1, 2, 3}, {3});     // found, but below the cut
  quality.Add({1, 2, 3}, {2, 9});  // second of two
  EXPECT_DOUBLE_EQ(quality.hit_rate(), 0.5);
  EXPECT_DOUBLE_EQ(quality.precision(), 0.25);
  double second = 1 / std::log2(3.0);
  EXPECT_DOUBLE_EQ(quality.ndcg(), second / (1 + second) / 2);
}

TEST(RankingQualityTest, APerfectRankingHasNdcgOne) {
  RankingQuality quality(10);
  quality.Add({5, 7, 1}, {5, 7});
  EXPECT_DOUBLE_EQ(quality.ndcg(), 1);
}

TEST(PercentileTest, IsAnObservedValue) {
  std::vector<absl::Duration> sorted;
  for (int i = 1; i <= 200; ++i) sorted.push_back(absl::Milliseconds(i));
  EXPECT_EQ(Percentile(sorted, 0.5), absl::Milliseconds(100));
  EXPECT_EQ(Percentile(sorted, 0.99), absl::Milliseconds(198));
  EXPECT_EQ(Percentile(sorted, 1), absl::Milliseconds(200));
  EXPECT_EQ(Percentile({absl::Seconds(1)}, 0.5), absl::Seconds(1));
}

TEST(NextBasketTest, HoldsTheItemsOfTheEarliestTimeOnce) {
  auto baskets = LoadNextBaskets(WriteFile("heldout.csv",
                                           "user,item,time\n"
                                           "ann,3,100\nann,1,100\n"
                                           "bob,5,101\nann,3,100\n"
                                           "ann,9,200\n"),
                                 TimeUnit::kSeconds);
  ASSERT_TRUE(baskets.ok()) << baskets.status();
  EXPECT_THAT(baskets->at("ann").items, ElementsAre(1, 3));
  EXPECT_EQ(baskets->at("ann").time.seconds(), 100);
  EXPECT_THAT(baskets->at("bob").items, ElementsAre(5));
}

TEST(PurchaseHistoryTest, RanksByCountThenRecencyThenPopularity) {
  auto history = PurchaseHistory::Load(WriteFile("train.csv",
                                                 "user,item,time\n"
                                                 "ann,1,10\nann,1,11\n"
                                                 "ann,2,12\nann,3,13\n"
                                                 "bob,4,14\nbob,4,15\n"
                                                 "bob,4,16\nbob,2,17\n"),
                                       TimeUnit::kSeconds);
  ASSERT_TRUE(history.ok()) << history.status();
  EXPECT_THAT(history->MostPopular(2), ElementsAre(4, 1));
  EXPECT_THAT(history->Favourites("ann", 3), ElementsAre(1, 3, 2));
  // Filled up with what everybody buys.
  EXPECT_THAT(history->Favourites("ann", 4), ElementsAre(1, 3, 2, 4));
  EXPECT_THAT(history->Favourites("eve", 2), ElementsAre(4, 1));
}

}  // namespace
}  // namespace qlarank
