#include "server/rank/outside_clock.h"

#include "gtest/gtest.h"

namespace qlarank {
namespace {

absl::Time At(int ms) { return absl::UnixEpoch() + absl::Milliseconds(ms); }

TEST(OutsideClockTest, WithoutTheEngineAllTimeIsOutside) {
  const OutsideClock clock(At(10));
  EXPECT_EQ(clock.Total(At(15)), absl::Milliseconds(5));
}

TEST(OutsideClockTest, TilesSideBySideAreInsideTogether) {
  OutsideClock clock(At(0));
  clock.Enter(At(1));  // 1 outside
  clock.Enter(At(3));
  clock.Leave(At(6));
  clock.Leave(At(10));
  clock.Enter(At(12));  // 2 outside
  clock.Leave(At(13));
  EXPECT_EQ(clock.Total(At(17)), absl::Milliseconds(1 + 2 + 4));
}

}  // namespace
}  // namespace qlarank
