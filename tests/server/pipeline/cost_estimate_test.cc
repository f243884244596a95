#include "server/pipeline/cost_estimate.h"

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
  for (int tile = 0; tile < 2000; ++tile) cost.Observe(absl::Milliseconds(1));
  EXPECT_GT(cost.mean(), absl::Microseconds(990));
}

// One tile in ten waits for the processor, for ten times what it takes.
TEST(CostEstimateTest, DoesNotFollowEveryTile) {
  CostEstimate cost;
  for (int tile = 0; tile < 2000; ++tile) {
    cost.Observe(tile % 10 == 0 ? absl::Milliseconds(4)
                                : absl::Microseconds(400));
    if (tile < 256) continue;
    EXPECT_GT(cost.mean(), absl::Microseconds(700)) << tile;
    EXPECT_LT(cost.mean(), absl::Microseconds(820)) << tile;
  }
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
