#include "server/short_slices.h"

#include <sched.h>
#include <sys/resource.h>

#include <optional>
#include <thread>

#include "gtest/gtest.h"

namespace qlarank {
namespace {

struct Scheduling {
  std::optional<uint64_t> slice = TimeSlice::Get();
  int policy = sched_getscheduler(0);
  int niceness = getpriority(PRIO_PROCESS, gettid());
};

Scheduling OfAThread() {
  Scheduling scheduling;
  std::thread([&] { scheduling = Scheduling(); }).join();
  return scheduling;
}

TEST(ShortSlicesTest, ThreadsStartedMeanwhileHaveThemAndNothingElse) {
  const Scheduling before;
  if (before.slice.value_or(0) == 0) {
    GTEST_SKIP() << "Linux before 6.12 has no slices to choose";
  }
  Scheduling meanwhile;
  {
    const ShortSlices short_slices;
    meanwhile = OfAThread();
  }
  EXPECT_EQ(meanwhile.slice, ShortSlices::kNanoseconds);
  EXPECT_EQ(meanwhile.policy, before.policy);
  EXPECT_EQ(meanwhile.niceness, before.niceness);
  EXPECT_EQ(TimeSlice::Get(), before.slice);
  EXPECT_EQ(OfAThread().slice, before.slice);
}

TEST(ShortSlicesTest, LeavesAPriorityThatSomebodyChose) {
  std::thread([] {
    ASSERT_EQ(setpriority(PRIO_PROCESS, gettid(), 7), 0);
    const sched_param parameters = {};
    ASSERT_EQ(sched_setscheduler(0, SCHED_BATCH, &parameters), 0);
    const ShortSlices short_slices;
    EXPECT_EQ(Scheduling().policy, SCHED_BATCH);
    EXPECT_EQ(Scheduling().niceness, 7);
  }).join();
}

}  // namespace
}  // namespace qlarank
