#include "server/rank/refusal_desk.h"

#include <atomic>
#include <memory>
#include <vector>

#include "absl/synchronization/blocking_counter.h"
#include "absl/synchronization/notification.h"
#include "gtest/gtest.h"
#include "server/work/steady_now.h"

namespace qlarank {
namespace {

TEST(RefusalDeskTest, HoldsUntilAnotherTryMakesSense) {
  prometheus::Gauge gauge;
  RefusalDesk desk(gauge);
  const absl::Duration begin = SteadyNow();
  absl::Duration at;
  absl::Notification ended;
  desk.Hold(absl::Milliseconds(30), 1, [&] {
    at = SteadyNow();
    ended.Notify();
  });
  EXPECT_EQ(desk.size(), 1);
  EXPECT_EQ(gauge.Value(), 1);
  ended.WaitForNotification();
  EXPECT_GE(at - begin, absl::Milliseconds(30));
  EXPECT_EQ(desk.size(), 0);
  EXPECT_EQ(gauge.Value(), 0);
}

TEST(RefusalDeskTest, TheFirstToBeDueGoesFirst) {
  prometheus::Gauge gauge;
  RefusalDesk desk(gauge);
  std::vector<int> order;  // by the desk's one thread
  absl::BlockingCounter ended(3);
  for (const int ms : {60, 1, 30}) {
    desk.Hold(absl::Milliseconds(ms), 1, [&, ms] {
      order.push_back(ms);
      ended.DecrementCount();
    });
  }
  ended.Wait();
  EXPECT_EQ(order, (std::vector<int>{1, 30, 60}));
}

TEST(RefusalDeskTest, WhatFindsNoRoomIsEndedAtOnce) {
  for (const bool by_bytes : {false, true}) {
    prometheus::Gauge gauge;
    auto desk = std::make_unique<RefusalDesk>(gauge);
    const size_t fit = by_bytes ? 4 : RefusalDesk::kMaxHeld;
    const size_t bytes = by_bytes ? RefusalDesk::kMaxBytes / fit : 1;
    std::atomic<size_t> ended = 0;
    for (size_t i = 0; i < fit; ++i) {
      desk->Hold(absl::Hours(1), bytes, [&] { ++ended; });
    }
    EXPECT_EQ(ended, 0);
    EXPECT_EQ(desk->size(), fit);
    desk->Hold(absl::Hours(1), bytes, [&] { ++ended; });
    EXPECT_EQ(ended, 1);
    // Whoever holds a call that waits is told before the desk goes.
    desk = nullptr;
    EXPECT_EQ(ended, fit + 1);
  }
}

TEST(RefusalDeskTest, WhatWasGivenBackIsRoomAgain) {
  prometheus::Gauge gauge;
  RefusalDesk desk(gauge);
  for (int round = 0; round < 3; ++round) {
    absl::Notification ended;
    desk.Hold(absl::ZeroDuration(), RefusalDesk::kMaxBytes,
              [&] { ended.Notify(); });
    EXPECT_EQ(desk.size(), 1);
    ended.WaitForNotification();
  }
}

TEST(RefusalDeskTest, TimeIsLeftToDoWithoutAnAnswer) {
  const auto hold = [](absl::Duration hint, absl::Duration left) {
    return RefusalDesk::HoldFor(hint, left);
  };
  const absl::Duration ms = absl::Milliseconds(1);
  EXPECT_EQ(hold(5 * ms, 300 * ms), 5 * ms);
  EXPECT_EQ(hold(500 * ms, 300 * ms), 240 * ms);
  EXPECT_EQ(hold(500 * ms, 200 * ms), 150 * ms);
  EXPECT_EQ(hold(500 * ms, 60 * ms), 30 * ms);
  EXPECT_EQ(hold(900 * ms, 60'000 * ms), 500 * ms);
  EXPECT_EQ(hold(900 * ms, absl::InfiniteDuration()), 500 * ms);
  EXPECT_EQ(hold(900 * ms, -ms), absl::ZeroDuration());
  EXPECT_EQ(hold(-ms, 300 * ms), absl::ZeroDuration());
}

}  // namespace
}  // namespace qlarank
