#include "server/work/fair_clock.h"

#include "gtest/gtest.h"

namespace qlarank {
namespace {

constexpr absl::Duration kMs = absl::Milliseconds(1);

TEST(FairClockTest, AloneAJobEndsAfterItsWork) {
  FairClock clock;
  EXPECT_EQ(clock.Arrive(10 * kMs), 10 * kMs);
  clock.Advance(4 * kMs);
  EXPECT_EQ(clock.now(), 4 * kMs);
}

TEST(FairClockTest, JobsShareTheWorkThatIsDone) {
  FairClock clock;
  clock.Arrive(10 * kMs);
  clock.Arrive(10 * kMs);
  clock.Advance(6 * kMs);
  EXPECT_EQ(clock.now(), 3 * kMs);
  // Seven of ten are left of both: a shorter one overtakes them.
  EXPECT_EQ(clock.Arrive(6 * kMs), 9 * kMs);
}

TEST(FairClockTest, WhenOneWouldHaveEndedTheOthersShareMore) {
  FairClock clock;
  clock.Arrive(2 * kMs);
  clock.Arrive(10 * kMs);
  clock.Advance(4 * kMs + 3 * kMs);
  EXPECT_EQ(clock.now(), 5 * kMs);
}

// A long job that is always overtaken is overtaken no longer once sharing would
// nearly have ended it.
TEST(FairClockTest, ALongJobIsOvertakenForABoundedTime) {
  FairClock clock;
  const absl::Duration end = clock.Arrive(50 * kMs);
  int overtaken = 0;
  while (clock.Arrive(kMs) < end) {
    clock.Advance(2 * kMs);  // twice what arrives
    ++overtaken;
  }
  EXPECT_GT(overtaken, 20);
  EXPECT_LT(overtaken, 60);
}

TEST(FairClockTest, IdleForgetsJobsThatEstimatesLeftBehind) {
  FairClock clock;
  clock.Arrive(100 * kMs);
  clock.Idle();
  clock.Arrive(10 * kMs);
  clock.Advance(4 * kMs);
  EXPECT_EQ(clock.now(), 4 * kMs);
}

}  // namespace
}  // namespace qlarank
