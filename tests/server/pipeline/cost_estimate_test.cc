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
  EXPECT_EQ(cost.mean(), absl::Microseconds(170));
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
