#include "server/pipeline/flood_patience.h"

#include <sched.h>

#include <thread>

#include "gtest/gtest.h"

namespace qlarank {
namespace {

constexpr absl::Time kBegin = absl::UnixEpoch();

int Policy() { return sched_getscheduler(0); }

void SetPolicy(int policy) {
  const sched_param parameters = {};
  ASSERT_EQ(sched_setscheduler(0, policy, &parameters), 0);
}

class FloodPatienceTest : public ::testing::Test {
 protected:
  void SetUp() override { ASSERT_EQ(Policy(), SCHED_OTHER); }
  void TearDown() override { SetPolicy(SCHED_OTHER); }

  FloodPatience patience_;
};

TEST_F(FloodPatienceTest,
       AThreadIsPatientFromRefusalsInARowUntilSomeTimeAfter) {
  EXPECT_FALSE(patience_.Refused(kBegin));
  EXPECT_EQ(Policy(), SCHED_OTHER);
  absl::Time now = kBegin + FloodPatience::kFlood;
  EXPECT_TRUE(patience_.Refused(now));
  EXPECT_EQ(Policy(), SCHED_BATCH);
  now += FloodPatience::kCalm - absl::Milliseconds(1);
  EXPECT_TRUE(patience_.Passed(now));
  EXPECT_EQ(Policy(), SCHED_BATCH);
  EXPECT_FALSE(patience_.Passed(now + absl::Milliseconds(1)));
  EXPECT_EQ(Policy(), SCHED_OTHER);
}

TEST_F(FloodPatienceTest, ARefusalNowAndThenIsNoFlood) {
  absl::Time now = kBegin;
  for (int i = 0; i < 10; ++i) {
    EXPECT_FALSE(patience_.Refused(now));
    now += FloodPatience::kFlood + absl::Nanoseconds(1);
  }
  EXPECT_FALSE(patience_.Passed(now));
  EXPECT_EQ(Policy(), SCHED_OTHER);
}

TEST_F(FloodPatienceTest, ButInAFloodItKeepsItGoing) {
  patience_.Refused(kBegin);
  absl::Time now = kBegin;
  for (int i = 0; i < 10; ++i) {
    EXPECT_TRUE(patience_.Refused(now));
    now += FloodPatience::kCalm - absl::Nanoseconds(1);
  }
  EXPECT_EQ(Policy(), SCHED_BATCH);
  EXPECT_FALSE(patience_.Refused(now + absl::Seconds(1)));
  EXPECT_EQ(Policy(), SCHED_OTHER);
}

TEST_F(FloodPatienceTest, AnyThreadEndsItForAll) {
  patience_.Refused(kBegin);
  patience_.Refused(kBegin);
  ASSERT_EQ(Policy(), SCHED_BATCH);
  std::thread([this] {
    patience_.Passed(kBegin + FloodPatience::kCalm);
  }).join();
  EXPECT_EQ(Policy(), SCHED_OTHER);
}

TEST_F(FloodPatienceTest, LeavesAPolicyThatSomebodyElseChose) {
  SetPolicy(SCHED_IDLE);
  patience_.Refused(kBegin);
  EXPECT_TRUE(patience_.Refused(kBegin));
  EXPECT_EQ(Policy(), SCHED_IDLE);
  EXPECT_FALSE(patience_.Passed(kBegin + FloodPatience::kCalm));
  EXPECT_EQ(Policy(), SCHED_IDLE);
}

}  // namespace
}  // namespace qlarank
