#include "server/work/processor_share.h"

#include "absl/time/time.h"
#include "gtest/gtest.h"

namespace qlarank {
namespace {

// Workers that are always busy, on clocks of the test's own.
class ProcessorShareTest : public ::testing::Test {
 protected:
  static constexpr size_t kWorkers = 2;

  // For so long, in blocks of `block`, each has a processor for `share` of it.
  void Work(absl::Duration time, double share,
            absl::Duration block = absl::Milliseconds(1)) {
    for (const absl::Duration end = now_ + time; now_ < end;) {
      now_ += block;
      for (size_t worker = 0; worker < kWorkers; ++worker) {
        share_.Observe(now_, block, block * share);
      }
    }
  }
  double Share() const { return share_.At(now_); }

  absl::Duration now_ = absl::Hours(1000);
  ProcessorShare share_{kWorkers};
};

TEST_F(ProcessorShareTest, IsWholeUntilSomethingIsKnown) {
  EXPECT_EQ(Share(), 1);
}

TEST_F(ProcessorShareTest, IsWhatWorkersHave) {
  for (const double share : {1.0, 0.5, 0.25, 0.75}) {
    Work(absl::Milliseconds(300), share);
    EXPECT_NEAR(Share(), share, 0.035) << share;
  }
}

// Blocks as long as the operating system's slices, in which a worker has a
// processor or has not, say the same as short ones.
TEST_F(ProcessorShareTest, IsTheSameByLongBlocks) {
  for (int i = 0; i < 100; ++i) {
    Work(absl::Milliseconds(4), 1, absl::Milliseconds(4));
    Work(absl::Milliseconds(4), 0, absl::Milliseconds(4));
  }
  EXPECT_NEAR(Share(), 0.5, 0.06);
}

TEST_F(ProcessorShareTest, ATileThatWaitedForASecondCountsForTheLastMoments) {
  Work(absl::Seconds(1), 0.001, absl::Seconds(1));
  EXPECT_LT(Share(), 0.06);
  Work(absl::Milliseconds(150), 1);
  EXPECT_GT(Share(), 0.94);
}

TEST_F(ProcessorShareTest, AStarvedPhaseIsForgottenWithin200Milliseconds) {
  Work(absl::Seconds(10), 0.05);
  EXPECT_LT(Share(), 0.1);
  EXPECT_GT(Share(), 0.03);
  Work(absl::Milliseconds(200), 1);
  EXPECT_GT(Share(), 0.95);
}

// Also when nobody works who could show it: all were refused, say.
TEST_F(ProcessorShareTest, AStarvedPhaseIsForgottenWithoutWork) {
  Work(absl::Seconds(10), 0.05);
  now_ += absl::Milliseconds(100);
  EXPECT_LT(Share(), 0.5);
  now_ += absl::Milliseconds(300);
  EXPECT_GT(Share(), 0.95);
}

TEST_F(ProcessorShareTest, OtherThreadsMayReportAMomentAgo) {
  Work(absl::Seconds(1), 0.5);
  share_.Observe(now_ - absl::Seconds(3), absl::Milliseconds(1),
                 absl::Microseconds(500));
  EXPECT_NEAR(Share(), 0.5, 0.035);
}

// Clocks are read one after the other.
TEST_F(ProcessorShareTest, WhatCannotBeChangesNothing) {
  share_.Observe(now_, absl::ZeroDuration(), absl::Milliseconds(1));
  share_.Observe(now_, -absl::Seconds(1), absl::Seconds(1));
  share_.Observe(now_, absl::Seconds(1), -absl::Seconds(1));
  share_.Observe(now_, absl::Milliseconds(1), absl::Milliseconds(2));
  EXPECT_EQ(Share(), 1);
}

}  // namespace
}  // namespace qlarank
