#include "server/rank/cost_estimate.h"

#include "gtest/gtest.h"

namespace qlarank {
namespace {

TEST(CostEstimateTest, FollowsWhatTilesTake) {
  CostEstimate cost;
  EXPECT_EQ(cost.mean(), absl::ZeroDuration());
  cost.Observe(absl::Microseconds(160));
  EXPECT_EQ(cost.mean(), absl::Microseconds(160));
  cost.Observe(absl::Microseconds(320));
  EXPECT_EQ(cost.mean(), absl::Microseconds(240));
  for (int tile = 0; tile < 300; ++tile) cost.Observe(absl::Milliseconds(1));
  EXPECT_GT(cost.mean(), absl::Microseconds(990));
}

// A tile in ten takes ten times as long: what it touches was in no cache.
TEST(CostEstimateTest, DoesNotFollowEveryTile) {
  CostEstimate cost;
  for (int tile = 0; tile < 300; ++tile) {
    cost.Observe(tile % 10 == 0 ? absl::Milliseconds(4)
                                : absl::Microseconds(400));
    if (tile < 32) continue;
    EXPECT_GT(cost.mean(), absl::Microseconds(640)) << tile;
    EXPECT_LT(cost.mean(), absl::Microseconds(900)) << tile;
  }
}

TEST(CostEstimateTest, OneTileInEightIsMeasuredTheFirstAmongThem) {
  CostEstimate cost;
  for (int tile = 0; tile < 40; ++tile) {
    EXPECT_EQ(cost.Due(), tile % 8 == 0) << tile;
  }
}

// However far off: that of a model whose first tiles took a hundred times as
// long is right again after 1,600, some half a second.
TEST(CostEstimateTest, AnEstimateGoneWrongComesBack) {
  CostEstimate cost;
  for (int tile = 0; tile < 100; ++tile) cost.Observe(absl::Milliseconds(30));
  for (int tile = 0; tile < 400; ++tile) {
    if (cost.Due()) cost.Observe(absl::Microseconds(300));
  }
  EXPECT_LT(cost.mean(), absl::Milliseconds(7));
  for (int tile = 0; tile < 1200; ++tile) {
    if (cost.Due()) cost.Observe(absl::Microseconds(300));
  }
  EXPECT_LT(cost.mean(), absl::Microseconds(400));
}

// Else one tile during which the clock jumped would have every later request
// refused: none could make its deadline, and none would show that it can.
TEST(CostEstimateTest, IgnoresAJumpOfTheClock) {
  CostEstimate cost;
  cost.Observe(absl::Hours(1));
  cost.Observe(-absl::Hours(1));
  EXPECT_EQ(cost.mean(), absl::ZeroDuration());
  cost.Observe(absl::Microseconds(160));
  cost.Observe(absl::Hours(24 * 400));
  cost.Observe(-absl::Seconds(2));
  EXPECT_EQ(cost.mean(), absl::Microseconds(160));
}

}  // namespace
}  // namespace qlarank
