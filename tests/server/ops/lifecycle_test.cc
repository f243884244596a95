#include "server/ops/lifecycle.h"

#include <unistd.h>

#include <atomic>
#include <csignal>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/ops/termination_signals.h"

namespace qlarank {
namespace {

using ::testing::ElementsAre;

TEST(ShutDownInOrderTest, WarnsBeforeItClosesTheDoor) {
  std::vector<std::string> done;
  ShutdownSteps steps;
  steps.set_not_serving = [&] { done.push_back("not serving"); };
  steps.sleep = [&](absl::Duration delay) {
    done.push_back(absl::StrCat("sleep ", absl::FormatDuration(delay)));
  };
  steps.stop_serving = [&](absl::Duration timeout) {
    done.push_back(absl::StrCat("stop ", absl::FormatDuration(timeout)));
  };
  steps.flush = [&] {
    done.push_back("flush");
    return absl::UnavailableError("disk full");
  };
  const LifecycleOptions options = {.drain_delay = absl::Seconds(5),
                                    .shutdown_timeout = absl::Seconds(30)};
  EXPECT_EQ(ShutDownInOrder(options, steps),
            absl::UnavailableError("disk full"));
  EXPECT_THAT(done,
              ElementsAre("not serving", "sleep 5s", "stop 30s", "flush"));
}

TEST(StopRequestTest, FirstWakesAndSecondExits) {
  std::atomic<int> exits = 0;
  StopRequest stop([&] { ++exits; });
  EXPECT_FALSE(stop.requested());
  std::thread waiter([&] { stop.Wait(); });
  stop.Request();
  waiter.join();
  EXPECT_TRUE(stop.requested());
  EXPECT_EQ(exits, 0);
  stop.Request();
  EXPECT_EQ(exits, 1);
}

TEST(TerminationSignalsTest, DeliversSignalsToItsThread) {
  TerminationSignals::Block();
  std::atomic<int> received = 0;
  absl::Notification done;
  {
    TerminationSignals signals([&](int signal) {
      received = signal;
      done.Notify();
    });
    kill(getpid(), SIGTERM);
    done.WaitForNotification();
  }
  EXPECT_EQ(received, SIGTERM);
}

TEST(TerminationSignalsTest, EndsWithoutASignal) {
  TerminationSignals::Block();
  TerminationSignals signals([](int) { FAIL(); });
}

}  // namespace
}  // namespace qlarank
