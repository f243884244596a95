#include "server/work/tile_scheduler.h"

#include <algorithm>
#include <atomic>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "absl/synchronization/blocking_counter.h"
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

  Step Prepare(size_t) override {
    return --steps_ > 0 ? Step::kAgain : prepared_;
  }
  void RunUnit(size_t, size_t) override {
    journal_.Add(name_);
    if (work_) work_();
  }
  void Finish(size_t dropped, size_t) override {
    dropped_ = dropped;
    done_.Notify();
  }
  bool cancelled() const override { return cancelled_; }
  void Cancel() { cancelled_ = true; }
  bool finished() const { return done_.HasBeenNotified(); }
  // So many calls of Prepare, the last of which returns `last`.
  void SetPreparation(int steps, Step last) {
    steps_ = steps;
    prepared_ = last;
  }
  int steps_left() const { return steps_; }

  size_t WaitForDropped() {
    done_.WaitForNotification();
    return dropped_;
  }

 private:
  const std::string name_;
  Journal& journal_;
  const std::function<void()> work_;
  int steps_ = 1;
  Step prepared_ = Step::kReady;
  std::atomic<bool> cancelled_ = false;
  absl::Notification done_;
  size_t dropped_ = 0;
};

class TileSchedulerTest : public ::testing::Test {
 protected:
  std::shared_ptr<TestJob> Submit(const std::string& name, size_t units,
                                  absl::Time arrival, absl::Time expiry,
                                  std::function<void()> work = {},
                                  const std::string& client = "") {
    auto job = std::make_shared<TestJob>(name, journal_, std::move(work));
    scheduler_.Submit(job, units, arrival, expiry, absl::Milliseconds(1),
                      client);
    return job;
  }

  // Takes less than to hand it over.
  std::shared_ptr<TestJob> SubmitCheap(size_t units,
                                       std::function<void()> work = {}) {
    auto job = std::make_shared<TestJob>("cheap", journal_, std::move(work));
    scheduler_.Submit(job, units, now_, later_, cheap_);
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

  const absl::Duration cheap_ = TileScheduler::kHandOver / 10;
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
  EXPECT_EQ(two.backlog(), absl::ZeroDuration());
}

TEST_F(TileSchedulerTest, IsBusyAsLongAsSomethingIsAtWork) {
  EXPECT_FALSE(scheduler_.busy());
  const auto job = Block();
  EXPECT_TRUE(scheduler_.busy());
  release_.Notify();
  job->WaitForDropped();
  const absl::Time end = absl::Now() + absl::Seconds(30);
  while (scheduler_.busy() && absl::Now() < end) {
    absl::SleepFor(absl::Milliseconds(1));
  }
  EXPECT_FALSE(scheduler_.busy());
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

// Long jobs that have waited for a while already, as under a flood of them: the
// short one is next all the same.
TEST_F(TileSchedulerTest, AFloodOfLongJobsDoesNotStallAShortOne) {
  Block();
  std::vector<std::shared_ptr<TestJob>> flood;
  for (int i = 0; i < 20; ++i) {
    flood.push_back(Submit("long", 80, now_ - absl::Seconds(10), later_));
  }
  auto shorter = Submit("short", 1, now_, later_ + absl::Seconds(10));
  release_.Notify();
  shorter->WaitForDropped();
  const auto entries = journal_.entries();
  EXPECT_LE(
      std::find(entries.begin(), entries.end(), "short") - entries.begin(), 2);
  for (const auto& job : flood) EXPECT_EQ(job->WaitForDropped(), 0);
}

// Each short job makes room for the next, so that one always waits: the long
// job has its share of the worker nevertheless.
TEST_F(TileSchedulerTest, AFloodOfShortJobsDoesNotStarveALongOne) {
  Block();
  auto longer = Submit("long", 20, now_, later_);
  int left = 500;  // the worker's, once it is released
  absl::BlockingCounter chains(2);
  std::function<void()> next = [&] {
    if (left-- > 0) {
      Submit("short", 1, now_, later_, next);
    } else {
      chains.DecrementCount();
    }
  };
  next();
  next();
  release_.Notify();
  longer->WaitForDropped();
  chains.Wait();
  const auto entries = journal_.entries();
  const auto last_long = std::find(entries.rbegin(), entries.rend(), "long");
  EXPECT_LT(std::count(last_long, entries.rend(), "short"), 200);
}

TEST_F(TileSchedulerTest, JobsOfOneSizeKeepTheirOrder) {
  Block();
  auto first = Submit("first", 3, now_, later_);
  auto second = Submit("second", 3, now_, later_);
  release_.Notify();
  second->WaitForDropped();
  EXPECT_THAT(journal_.entries(),
              ElementsAre("block", "first", "first", "first", "second",
                          "second", "second"));
}

TEST_F(TileSchedulerTest, UnitsComeAfterAsManyStepsAsPreparationTakes) {
  Block();
  auto job = std::make_shared<TestJob>("a", journal_);
  job->SetPreparation(5, TileJob::Step::kReady);
  scheduler_.Submit(job, 3, now_, later_, absl::Milliseconds(1));
  EXPECT_EQ(scheduler_.backlog(), absl::Milliseconds(4));
  release_.Notify();
  EXPECT_EQ(job->WaitForDropped(), 0);
  EXPECT_EQ(job->steps_left(), 0);
  EXPECT_THAT(journal_.entries(), ElementsAre("block", "a", "a", "a"));
}

TEST_F(TileSchedulerTest, AJobThatEndsInPreparationHasNoUnits) {
  Block();
  auto job = std::make_shared<TestJob>("a", journal_);
  job->SetPreparation(2, TileJob::Step::kEnd);
  scheduler_.Submit(job, 3, now_, later_, absl::Milliseconds(1));
  release_.Notify();
  EXPECT_EQ(job->WaitForDropped(), 3);
  EXPECT_THAT(journal_.entries(), ElementsAre("block"));
  EXPECT_EQ(scheduler_.backlog(), absl::ZeroDuration());
}

// As one that only reads a state.
TEST_F(TileSchedulerTest, AJobWithoutUnitsTakesItsSteps) {
  for (const auto last : {TileJob::Step::kEnd, TileJob::Step::kReady}) {
    auto job = std::make_shared<TestJob>("a", journal_);
    job->SetPreparation(5, last);
    scheduler_.Submit(job, 0, now_, later_, absl::Milliseconds(1));
    EXPECT_EQ(job->WaitForDropped(), 0);
    EXPECT_EQ(job->steps_left(), 0);
  }
  EXPECT_EQ(scheduler_.backlog(), absl::ZeroDuration());
}

TEST_F(TileSchedulerTest, AnExpiredJobIsDroppedAndEnded) {
  Block();
  auto expired = Submit("expired", 10, now_, now_ - absl::Milliseconds(1));
  release_.Notify();
  EXPECT_EQ(expired->WaitForDropped(), 10);
  EXPECT_THAT(journal_.entries(), ElementsAre("block"));
  EXPECT_EQ(scheduler_.backlog(), absl::ZeroDuration());
}

TEST_F(TileSchedulerTest, UnitsBegunAreFinishedWhenAJobExpires) {
  auto job = Submit("slow", 10, now_, absl::Now() + absl::Milliseconds(30),
                    [] { absl::SleepFor(absl::Milliseconds(20)); });
  const size_t dropped = job->WaitForDropped();
  EXPECT_GT(dropped, 0);
  EXPECT_EQ(journal_.entries().size(), 10 - dropped);
}

// What is cheaper than to wake up a worker.
TEST_F(TileSchedulerTest, ACheapJobIsDoneWhereItIsSubmitted) {
  std::vector<std::thread::id> ran_on;
  const auto job = SubmitCheap(
      2, [&ran_on] { ran_on.push_back(std::this_thread::get_id()); });
  ASSERT_TRUE(job->finished());
  EXPECT_EQ(job->WaitForDropped(), 0);
  EXPECT_THAT(ran_on, ElementsAre(std::this_thread::get_id(),
                                  std::this_thread::get_id()));
  EXPECT_TRUE(scheduler_.Predict("", absl::ZeroDuration()).alone);
}

TEST_F(TileSchedulerTest, ACheapJobThatEndsInPreparationDropsItsUnits) {
  auto job = std::make_shared<TestJob>("ends", journal_);
  job->SetPreparation(1, TileJob::Step::kEnd);
  scheduler_.Submit(job, 3, now_, later_, cheap_);
  ASSERT_TRUE(job->finished());
  EXPECT_EQ(job->WaitForDropped(), 3);
}

TEST_F(TileSchedulerTest, ACheapJobTakesItsTurnBehindOthers) {
  const auto block = Block();
  const auto job = SubmitCheap(2);
  EXPECT_FALSE(job->finished());
  release_.Notify();
  EXPECT_EQ(job->WaitForDropped(), 0);
  EXPECT_THAT(journal_.entries(), ElementsAre("block", "cheap", "cheap"));
}

// One at a time: the next one of another thread is a worker's.
TEST_F(TileSchedulerTest, WhileACheapJobIsDoneWorkersDoTheNext) {
  std::shared_ptr<TestJob> next;
  SubmitCheap(1, [this, &next] {
    next = SubmitCheap(1);
    next->WaitForDropped();
  });
  EXPECT_THAT(journal_.entries(), ElementsAre("cheap", "cheap"));
}

TEST_F(TileSchedulerTest, ACheapJobThatTakesLongToPrepareIsLeftToTheWorkers) {
  auto job = std::make_shared<TestJob>("steps", journal_);
  job->SetPreparation(3, TileJob::Step::kReady);
  scheduler_.Submit(job, 2, now_, later_, cheap_);
  EXPECT_EQ(job->WaitForDropped(), 0);
  EXPECT_EQ(job->steps_left(), 0);
  EXPECT_THAT(journal_.entries(), ElementsAre("steps", "steps"));
}

TEST_F(TileSchedulerTest, AJobOfUnknownCostIsTheWorkers) {
  std::thread::id ran_on;
  auto job = std::make_shared<TestJob>(
      "new", journal_, [&ran_on] { ran_on = std::this_thread::get_id(); });
  scheduler_.Submit(job, 1, now_, later_, absl::ZeroDuration());
  job->WaitForDropped();
  EXPECT_NE(ran_on, std::this_thread::get_id());
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

// Long before its turn: the next tile of the job ahead is the last before it.
TEST_F(TileSchedulerTest, WhatIsCancelledEndsAtTheNextTile) {
  Block();
  auto cancelled = Submit("cancelled", 50, now_, later_);
  auto also = Submit("also", 50, now_, later_);
  int units = 0;
  bool ended_early = false;
  auto ahead = Submit("ahead", 20, now_, later_, [&] {
    if (++units == 5) {
      cancelled->Cancel();
      also->Cancel();
      scheduler_.NoticeCancellation();
    }
    if (units == 6) ended_early = cancelled->finished() && also->finished();
  });
  release_.Notify();
  EXPECT_EQ(ahead->WaitForDropped(), 0);
  EXPECT_TRUE(ended_early);
  EXPECT_EQ(cancelled->WaitForDropped(), 50);
  EXPECT_EQ(also->WaitForDropped(), 50);
  EXPECT_EQ(scheduler_.backlog(), absl::ZeroDuration());
}

// While a job prepares it is in no queue to be taken out of.
TEST_F(TileSchedulerTest, WhatIsCancelledWhileItPreparesEndsToo) {
  absl::Notification preparing, cancelled, go;
  class Preparing final : public TileJob {
   public:
    Preparing(absl::Notification& begun, absl::Notification& cancelled,
              absl::Notification& go)
        : begun_(begun), cancelled_(cancelled), go_(go) {}
    Step Prepare(size_t) override {
      begun_.Notify();
      go_.WaitForNotification();
      return Step::kReady;
    }
    void RunUnit(size_t, size_t) override { ADD_FAILURE(); }
    void Finish(size_t dropped, size_t) override {
      dropped_ = dropped;
      done_.Notify();
    }
    bool cancelled() const override { return cancelled_.HasBeenNotified(); }
    size_t WaitForDropped() {
      done_.WaitForNotification();
      return dropped_;
    }

   private:
    absl::Notification& begun_;
    absl::Notification& cancelled_;
    absl::Notification& go_;
    absl::Notification done_;
    size_t dropped_ = 0;
  };
  TileScheduler two(2);
  auto job = std::make_shared<Preparing>(preparing, cancelled, go);
  two.Submit(job, 3, now_, later_, absl::Milliseconds(1));
  preparing.WaitForNotification();
  cancelled.Notify();
  two.NoticeCancellation();
  // The other worker heeds the notice and finds nothing to end.
  auto other = std::make_shared<TestJob>("other", journal_);
  two.Submit(other, 1, now_, later_, absl::Milliseconds(1));
  EXPECT_EQ(other->WaitForDropped(), 0);
  go.Notify();
  EXPECT_EQ(job->WaitForDropped(), 3);
}

// One client's hundred requests and another's one: every other tile is theirs.
TEST_F(TileSchedulerTest, AFloodOfOneClientLeavesAnotherTheirShare) {
  Block();
  std::vector<std::shared_ptr<TestJob>> flood;
  for (int i = 0; i < 100; ++i) {
    flood.push_back(Submit("flood", 10, now_, later_, {}, "a"));
  }
  auto single = Submit("single", 10, now_, later_, {}, "b");
  release_.Notify();
  single->WaitForDropped();
  for (const auto& job : flood) job->WaitForDropped();
  const std::vector<std::string> entries = journal_.entries();
  const auto last = std::find(entries.rbegin(), entries.rend(), "single");
  EXPECT_LE(entries.rend() - last, 25);
}

TEST_F(TileSchedulerTest, AClientThatWasIdleIsOwedNothing) {
  Block();
  auto busy = Submit("busy", 100, now_, later_, {}, "a");
  release_.Notify();
  busy->WaitForDropped();
  // Had they saved up for a hundred tiles, all of theirs would come first.
  absl::Notification go;
  auto wait = Submit(
      "wait", 1, now_, later_, [&] { go.WaitForNotification(); }, "a");
  auto old = Submit("old", 20, now_, later_, {}, "a");
  auto fresh = Submit("fresh", 20, now_, later_, {}, "b");
  go.Notify();
  old->WaitForDropped();
  fresh->WaitForDropped();
  const std::vector<std::string> entries = journal_.entries();
  const auto first = std::find(entries.begin(), entries.end(), "fresh");
  const auto half = first + 10;
  EXPECT_GE(std::count(first, half, "old"), 3);
}

// Nor is who comes while another's work goes on: all of theirs would come
// first.
TEST_F(TileSchedulerTest, ANewcomerIsNotOwedWhatAnotherHad) {
  absl::Notification go, there;
  std::atomic<int> units = 0;
  auto busy = Submit(
      "busy", 130, now_, later_,
      [&] {
        if (++units != 100) return;
        there.Notify();
        go.WaitForNotification();
      },
      "a");
  there.WaitForNotification();
  auto fresh = Submit("fresh", 20, now_, later_, {}, "b");
  go.Notify();
  busy->WaitForDropped();
  fresh->WaitForDropped();
  const std::vector<std::string> entries = journal_.entries();
  const auto first = std::find(entries.begin(), entries.end(), "fresh");
  EXPECT_GE(std::count(first, first + 10, "busy"), 3);
}

TEST_F(TileSchedulerTest, PredictsWhatIsDoneBefore) {
  EXPECT_TRUE(scheduler_.Predict("a", absl::Milliseconds(5)).alone);
  Block();
  Submit("long", 99, now_, later_, {}, "a");
  Submit("short", 1, now_, later_, {}, "b");
  const auto ahead = [&](const std::string& client, int work_ms) {
    const auto prediction =
        scheduler_.Predict(client, absl::Milliseconds(work_ms));
    EXPECT_FALSE(prediction.alone);
    return prediction.ahead;
  };
  // Of their own long job as much as their new one, and all of the other's.
  EXPECT_EQ(ahead("a", 5), absl::Milliseconds(5 + 2));
  // Their own short job, and of the long one as much as they get then.
  EXPECT_EQ(ahead("b", 5), absl::Milliseconds(2 + 7));
  // A newcomer competes with clients, not with their jobs.
  EXPECT_EQ(ahead("c", 1), absl::Milliseconds(1 + 1));
  EXPECT_EQ(ahead("c", 1000), absl::Milliseconds(100 + 2));
  release_.Notify();
}

}  // namespace
}  // namespace qlarank
