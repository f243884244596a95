#include "server/pipeline/tile_scheduler.h"

#include <algorithm>
#include <functional>
#include <mutex>
#include <string>
#include <vector>

#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace qlarank {
namespace {

using ::testing::ElementsAre;

// Which job's unit ran when.
class Journal {
 public:
  void Add(std::string name) {
    std::lock_guard<std::mutex> lock(mutex_);
    entries_.push_back(std::move(name));
  }
  std::vector<std::string> entries() {
    std::lock_guard<std::mutex> lock(mutex_);
    return entries_;
  }

 private:
  std::mutex mutex_;
  std::vector<std::string> entries_;
};

class TestJob final : public TileJob {
 public:
  TestJob(std::string name, Journal& journal, std::function<void()> work = {})
      : name_(std::move(name)), journal_(journal), work_(std::move(work)) {}

  void RunUnit(size_t, size_t) override {
    journal_.Add(name_);
    if (work_) work_();
  }
  void Finish(size_t dropped, size_t) override {
    dropped_ = dropped;
    done_.Notify();
  }
  size_t WaitForDropped() {
    done_.WaitForNotification();
    return dropped_;
  }

 private:
  const std::string name_;
  Journal& journal_;
  const std::function<void()> work_;
  absl::Notification done_;
  size_t dropped_ = 0;
};

class TileSchedulerTest : public ::testing::Test {
 protected:
  std::shared_ptr<TestJob> Submit(const std::string& name, size_t units,
                                  absl::Time arrival, absl::Time expiry,
                                  std::function<void()> work = {}) {
    auto job = std::make_shared<TestJob>(name, journal_, std::move(work));
    scheduler_.Submit(job, units, arrival, expiry, absl::Milliseconds(1));
    return job;
  }

  // Holds the only worker until `release_` is notified.
  std::shared_ptr<TestJob> Block() {
    auto begun = std::make_shared<absl::Notification>();
    auto job = Submit("block", 1, absl::InfinitePast(), absl::InfiniteFuture(),
                      [this, begun] {
                        begun->Notify();
                        release_.WaitForNotification();
                      });
    begun->WaitForNotification();
    return job;
  }

  const absl::Time now_ = absl::Now();
  const absl::Time later_ = now_ + absl::Hours(1);
  Journal journal_;
  absl::Notification release_;
  TileScheduler scheduler_{1};
};

TEST_F(TileSchedulerTest, RunsEveryUnitOnceAndFinishes) {
  TileScheduler two(2);
  Journal journal;
  auto job = std::make_shared<TestJob>("a", journal);
  two.Submit(job, 100, now_, later_, absl::Milliseconds(1));
  EXPECT_EQ(job->WaitForDropped(), 0);
  EXPECT_EQ(journal.entries().size(), 100);
  EXPECT_EQ(two.queued_units(), 0);
}

TEST_F(TileSchedulerTest, AnEarlierDeadlineComesFirst) {
  Block();
  const absl::Time arrival =
      now_ + absl::Minutes(10);  // none expires meanwhile
  auto far = Submit("far", 1, arrival, arrival + absl::Milliseconds(30));
  auto near = Submit("near", 1, arrival, arrival + absl::Milliseconds(20));
  release_.Notify();
  far->WaitForDropped();
  near->WaitForDropped();
  EXPECT_THAT(journal_.entries(), ElementsAre("block", "near", "far"));
}

// The long job came first and has the same time-out: still the short one waits
// for a few units only.
TEST_F(TileSchedulerTest, ALongJobDoesNotStallAShortOne) {
  Block();
  auto longer = Submit("long", 80, now_, later_);
  auto shorter = Submit("short", 1, now_ + absl::Milliseconds(4),
                        later_ + absl::Milliseconds(4));
  release_.Notify();
  longer->WaitForDropped();
  shorter->WaitForDropped();
  const auto entries = journal_.entries();
  const auto at = std::find(entries.begin(), entries.end(), "short");
  EXPECT_LE(at - entries.begin(), 5);
  EXPECT_EQ(entries.size(), 82);
}

TEST_F(TileSchedulerTest, AnExpiredJobIsDroppedAndEnded) {
  Block();
  auto expired = Submit("expired", 10, now_, now_ - absl::Milliseconds(1));
  release_.Notify();
  EXPECT_EQ(expired->WaitForDropped(), 10);
  EXPECT_THAT(journal_.entries(), ElementsAre("block"));
  EXPECT_EQ(scheduler_.queued_units(), 0);
}

TEST_F(TileSchedulerTest, UnitsBegunAreFinishedWhenAJobExpires) {
  auto job = Submit("slow", 10, now_, absl::Now() + absl::Milliseconds(30),
                    [] { absl::SleepFor(absl::Milliseconds(20)); });
  const size_t dropped = job->WaitForDropped();
  EXPECT_GT(dropped, 0);
  EXPECT_EQ(journal_.entries().size(), 10 - dropped);
}

TEST_F(TileSchedulerTest, DestructionFinishesWhatWasSubmitted) {
  auto scheduler = std::make_unique<TileScheduler>(2);
  std::vector<std::shared_ptr<TestJob>> jobs;
  for (int i = 0; i < 50; ++i) {
    jobs.push_back(std::make_shared<TestJob>("a", journal_));
    scheduler->Submit(jobs.back(), 10, now_, later_, absl::Milliseconds(1));
  }
  scheduler = nullptr;
  EXPECT_EQ(journal_.entries().size(), 500);
}

}  // namespace
}  // namespace qlarank
