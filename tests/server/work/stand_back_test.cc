#include "server/work/stand_back.h"

#include <sched.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <set>

#include "gtest/gtest.h"

namespace qlarank {
namespace {

int Nice() { return ::getpriority(PRIO_PROCESS, 0); }

bool IsIdle() { return ::sched_getscheduler(0) == SCHED_IDLE; }

// A machine on which pieces take what they are said to take.
class StandBackTest : public ::testing::Test {
 protected:
  // Whether a piece that takes so long is done by a thread that has what others
  // leave over.
  bool Idles(absl::Duration took = absl::ZeroDuration()) {
    bool idle = false;
    thread_.Run([&] {
      idle = IsIdle();
      EXPECT_TRUE(idle || Nice() >= std::max(nice_, 10));
      now_ += took;
    });
    return idle;
  }

  const int nice_ = Nice();
  absl::Duration now_;
  StandBackThread thread_{[this] { return now_; }};
};

TEST_F(StandBackTest, WorkHasWhatOthersLeaveOver) {
  EXPECT_TRUE(Idles());
  EXPECT_TRUE(Idles(StandBackThread::kLong));
  EXPECT_TRUE(Idles());
  EXPECT_FALSE(IsIdle());
  EXPECT_EQ(Nice(), nice_);
}

TEST_F(StandBackTest, WhereNothingIsLeftOverItIsNicer) {
  EXPECT_TRUE(Idles(absl::Seconds(5)));
  EXPECT_FALSE(Idles());
  EXPECT_FALSE(Idles(StandBackThread::kNicerFor));
  // Then it looks again.
  EXPECT_TRUE(Idles(absl::Seconds(5)));
  EXPECT_FALSE(Idles());
}

TEST_F(StandBackTest, LongWorkIsNotHeldUp) {
  bool idle = false;
  thread_.Run([&] {
    const clock_t end = ::clock() + CLOCKS_PER_SEC / 50;
    while (::clock() < end) {
    }
    now_ += StandBackThread::kLong * 2;
  });
  thread_.Run([&] { idle = IsIdle(); });
  EXPECT_TRUE(idle);
}

TEST_F(StandBackTest, PieceAfterPieceByOneThread) {
  std::set<pid_t> by;
  int pieces = 0;
  for (int i = 0; i < 1000; ++i) {
    thread_.Run([&] {
      by.insert(::gettid());
      ++pieces;
    });
    EXPECT_EQ(pieces, i + 1);
  }
  EXPECT_EQ(by.size(), 1);
  EXPECT_EQ(by.count(::gettid()), 0);
}

TEST(StandingBackTest, ReturnsWhatWorkReturns) {
  const auto stands_back = [] { return IsIdle() || Nice() >= 10; };
  EXPECT_TRUE(StandingBack(stands_back));
  bool within = false;
  StandingBack([&] { within = stands_back(); });
  EXPECT_TRUE(within);
}

}  // namespace
}  // namespace qlarank
