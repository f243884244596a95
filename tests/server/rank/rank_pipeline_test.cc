// Requests that are refused, cancelled or late.
#include <cmath>
#include <memory>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "absl/time/clock.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/work/overload.h"
#include "tests/server/rank/rank_pipeline_testing.h"

namespace qlarank::testing {
namespace {

using ::testing::ElementsAreArray;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

TEST_F(RankPipelineTest, NoTileIsBegunOnceTheCallerCancelled) {
  SetTileCost(absl::Milliseconds(1));
  const auto call = NewCall(kCandidates, absl::Hours(1));
  Start(*call);
  const size_t scored =
      InterruptWhileScoring(*call, [&] { call->cancelled = true; });
  call->done.WaitForNotification();
  ASSERT_LT(scored, kCandidates);
  EXPECT_TRUE(absl::IsCancelled(call->status)) << call->status;
  EXPECT_EQ(metrics_.rank.unscored_cancelled.Value(), kCandidates - scored);
  EXPECT_EQ(metrics_.rank.unscored_deadline.Value(), 0);
  EXPECT_EQ(metrics_.rank.inflight_requests.Value(), 0);
}

TEST_F(RankPipelineTest, NoTileIsBegunOnceTheDeadlinePassed) {
  SetTileCost(absl::Milliseconds(1));
  for (const bool allow_partial : {false, true}) {
    std::unique_ptr<Call> call;
    double before = 0;
    size_t scored = 0;
    // Doubled until a tile is scored by then.
    for (absl::Duration timeout = absl::Seconds(1); scored == 0; timeout *= 2) {
      before = metrics_.rank.unscored_deadline.Value();
      call = NewCall(kCandidates, timeout);
      call->request.set_allow_partial(allow_partial);
      Start(*call);
      scored = InterruptWhileScoring(
          *call, [&] { absl::SleepFor(call->context.deadline - absl::Now()); });
      call->done.WaitForNotification();
    }
    ASSERT_LT(scored, kCandidates);
    EXPECT_EQ(metrics_.rank.unscored_deadline.Value() - before,
              kCandidates - scored);
    if (allow_partial) {
      EXPECT_TRUE(call->status.ok()) << call->status;
      EXPECT_EQ(call->scored(), scored);
      ASSERT_EQ(call->response.candidate_status_size(), kCandidates);
      for (size_t c = 0; c < kCandidates; ++c) {
        ASSERT_EQ(call->response.candidate_status(c),
                  std::isnan(call->response.scores(3 * c))
                      ? v1::CANDIDATE_STATUS_DEADLINE_EXCEEDED
                      : v1::CANDIDATE_STATUS_SCORED);
      }
    } else {
      EXPECT_TRUE(absl::IsDeadlineExceeded(call->status)) << call->status;
    }
  }
}

TEST_F(RankPipelineTest, WhatCannotMeetItsDeadlineIsRefusedAtOnce) {
  HeldWorker held(*this);
  const auto ahead = NewCall(640, absl::Hours(1));
  SetTileCost(absl::Seconds(1));
  Start(*ahead);  // 11 s of work
  const auto hopeless = NewCall(640, absl::Seconds(20));
  Start(*hopeless);
  ASSERT_TRUE(hopeless->done.HasBeenNotified());
  EXPECT_TRUE(absl::IsResourceExhausted(hopeless->status));
  EXPECT_THAT(std::string(hopeless->status.message()),
              ::testing::ContainsRegex(
                  "would take 22(\\.[0-9]+)?s, behind 11s of work"));
  // 15 s of the 20 may be planned for; when 7 s of what waits are done it fits.
  EXPECT_EQ(RetryDelay(hopeless->status), kMaxRetryDelay);
  // Twice as long to go; or with little to do, so that it goes first.
  const auto patient = NewCall(640, absl::Seconds(60));
  const auto little = NewCall(64, absl::Seconds(20));
  for (Call* call : {patient.get(), little.get()}) {
    Start(*call);
    EXPECT_FALSE(call->done.HasBeenNotified());
  }
  held.Release();
  for (Call* call : {ahead.get(), patient.get(), little.get()}) {
    call->done.WaitForNotification();
    EXPECT_TRUE(call->status.ok()) << call->status;
  }
}

TEST_F(RankPipelineTest, AWholeReplyHasNoStatuses) {
  const auto call = NewCall(100, absl::Hours(1));
  call->request.set_allow_partial(true);
  Start(*call);
  call->done.WaitForNotification();
  ASSERT_TRUE(call->status.ok()) << call->status;
  EXPECT_THAT(call->response.candidate_status(), IsEmpty());
}

// Where tiles are cheap, a worker does several in a turn.
TEST_F(RankPipelineTest, TilesInATurnAreScoredAsOneByOne) {
  EXPECT_EQ(RankCall::TilesOfUnit(absl::ZeroDuration()), 1);
  EXPECT_EQ(RankCall::TilesOfUnit(absl::Milliseconds(1)), 1);
  EXPECT_EQ(RankCall::TilesOfUnit(RankCall::kLeastUnit), 1);
  EXPECT_EQ(RankCall::TilesOfUnit(RankCall::kLeastUnit / 10), 10);
  SetTileCost(RankCall::kLeastUnit / 10);
  const auto in_turns = NewCall(1000, absl::Hours(1));  // 10 and 6 tiles
  const auto one_by_one = NewCall(1000, absl::Hours(1));
  for (Call* call : {in_turns.get(), one_by_one.get()}) {
    Start(*call);
    call->done.WaitForNotification();
    ASSERT_TRUE(call->status.ok()) << call->status;
    EXPECT_EQ(call->scored(), 1000);
    SetTileCost(absl::Milliseconds(100));
  }
  EXPECT_EQ(RankCall::TilesOfUnit(model().tile_cost.mean()), 1);
  EXPECT_THAT(in_turns->response.scores(),
              ElementsAreArray(one_by_one->response.scores()));
}

// Of some tasks only these are computed: each as it is among all.
TEST_F(RankPipelineTest, SomeTasksAreScoredAsAmongAll) {
  const auto all = NewCall(100, absl::Hours(1));
  const auto some = NewCall(100, absl::Hours(1));
  const auto& tasks = model().bundle().spec().tasks();
  some->request.add_tasks(tasks[2].name());
  some->request.add_tasks(tasks[0].name());
  for (Call* call : {all.get(), some.get()}) {
    Start(*call);
    call->done.WaitForNotification();
    ASSERT_TRUE(call->status.ok()) << call->status;
  }
  ASSERT_EQ(all->response.scores_size(), 300);
  ASSERT_EQ(some->response.scores_size(), 200);
  for (int c = 0; c < 100; ++c) {
    EXPECT_EQ(some->response.scores(2 * c), all->response.scores(3 * c + 2));
    EXPECT_EQ(some->response.scores(2 * c + 1), all->response.scores(3 * c));
  }
}

TEST_F(RankPipelineTest, ARepeatedRequestReadsTheStateOnceAndScoresTheSame) {
  UserAppend append;
  append.user_id = "user";
  append.head_after.incarnation = 1;
  append.head_after.last_sequence = 2;
  for (uint64_t item = 1; item <= 2; ++item) {
    append.events.emplace_back().item_id = item;
  }
  ASSERT_TRUE(store_->AppendEvents({append}).ok());
  partitions_->CatchUp(*models_->Current()->models()[0], "user");
  ASSERT_TRUE(partitions_->WaitUntilFolded(absl::Seconds(60)));
  std::vector<std::string> replies;
  for (int i = 0; i < 3; ++i) {
    const auto call = NewCall(100, absl::Hours(1));
    Start(*call);
    call->done.WaitForNotification();
    ASSERT_TRUE(call->status.ok()) << call->status;
    replies.push_back(call->response.SerializeAsString());
  }
  EXPECT_THAT(replies, ::testing::Each(replies[0]));
  EXPECT_EQ(metrics_.state.readings_computed.Value(), 1);
  EXPECT_EQ(metrics_.state.readings_hit.Value(), 2);
}

// A partial reply is refused only when it would be empty.
TEST_F(RankPipelineTest, APartialReplyNeedsTimeForOneTile) {
  HeldWorker held(*this);
  SetTileCost(absl::Seconds(1));
  const auto ahead = NewCall(640, absl::Hours(1));
  Start(*ahead);  // 11 s of work
  // 13 s with the 2 s of preparation and a tile, of half of the time.
  const auto late = NewCall(6400, absl::Seconds(25));
  const auto in_time = NewCall(6400, absl::Seconds(27));
  for (Call* call : {late.get(), in_time.get()}) {
    call->request.set_allow_partial(true);
    Start(*call);
  }
  EXPECT_TRUE(late->done.HasBeenNotified());
  EXPECT_TRUE(absl::IsResourceExhausted(late->status)) << late->status;
  EXPECT_FALSE(in_time->done.HasBeenNotified()) << in_time->status;
  held.Release();
  for (Call* call : {ahead.get(), in_time.get()}) {
    call->done.WaitForNotification();
  }
}

// What a request is like when it is given up, and by whom.
enum class Stage { kBeforeQueueing, kQueued, kScoring };
enum class End { kCancelled, kDeadline };

class GivenUpTest
    : public RankPipelineTest,
      public ::testing::WithParamInterface<std::tuple<Stage, End>> {
 protected:
  End end() const { return std::get<1>(GetParam()); }

  void GiveUp(Call& call) {
    if (end() == End::kDeadline) {
      absl::SleepFor(call.context.deadline - absl::Now());
      return;
    }
    call.cancelled = true;
    rank_->NoticeCancellation();
  }
};

TEST_P(GivenUpTest, EndsWithinATileFreesItsSlotAndIsCounted) {
  const Stage stage = std::get<0>(GetParam());
  SetTileCost(absl::Microseconds(10));
  std::optional<HeldWorker> held;
  // As much as the other, and before it: its turn is far away.
  const auto ahead = NewCall(kCandidates, absl::Hours(1));
  if (stage == Stage::kQueued) {
    held.emplace(*this);
    Start(*ahead);
  }
  const auto call = NewCall(
      kCandidates, end() == End::kDeadline ? absl::Seconds(1) : absl::Hours(1));
  size_t scored_ahead = 0;
  call->at_end = [&] {
    scored_ahead = stage == Stage::kQueued ? ahead->scored() : 0;
  };
  if (stage == Stage::kBeforeQueueing) {
    GiveUp(*call);
    call->context.arrival = absl::Now();
  }
  Start(*call);
  size_t scored = 0;
  if (stage == Stage::kQueued) {
    GiveUp(*call);
    held->Release();
  } else if (stage == Stage::kScoring) {
    scored = InterruptWhileScoring(*call, [&] { GiveUp(*call); });
  } else {
    EXPECT_TRUE(call->done.HasBeenNotified());
  }
  call->done.WaitForNotification();

  const auto code = end() == End::kCancelled
                        ? absl::StatusCode::kCancelled
                        : absl::StatusCode::kDeadlineExceeded;
  EXPECT_EQ(call->status.code(), code) << call->status;
  EXPECT_EQ(scored_ahead, 0) << "it waited for its turn";
  if (stage == Stage::kQueued) ahead->done.WaitForNotification();
  EXPECT_EQ(metrics_.rank.inflight_requests.Value(), 0);
  EXPECT_EQ(metrics_.rank.queue_depth.Value(), 0);
  EXPECT_EQ(CountOf(code), 1);
  const double unscored = end() == End::kCancelled
                              ? metrics_.rank.unscored_cancelled.Value()
                              : metrics_.rank.unscored_deadline.Value();
  EXPECT_EQ(unscored,
            stage == Stage::kBeforeQueueing ? 0 : kCandidates - scored);
}

INSTANTIATE_TEST_SUITE_P(
    EveryStage, GivenUpTest,
    ::testing::Combine(::testing::Values(Stage::kBeforeQueueing, Stage::kQueued,
                                         Stage::kScoring),
                       ::testing::Values(End::kCancelled, End::kDeadline)));

TEST_F(RankPipelineTest, AClientDoesNotHoldAllSlots) {
  HeldWorker held(*this);
  std::vector<std::unique_ptr<Call>> flood;
  for (int i = 0; i < 80; ++i) {
    flood.push_back(NewCall(1, absl::InfiniteDuration()));
    flood.back()->context.client = "flood";
    Start(*flood.back());
  }
  EXPECT_EQ(metrics_.rank.inflight_requests.Value(), 75);
  EXPECT_TRUE(absl::IsResourceExhausted(flood.back()->status));
  EXPECT_THAT(std::string(flood.back()->status.message()),
              HasSubstr("rank.max_inflight_requests is 100"));
  EXPECT_TRUE(RetryDelay(flood.back()->status).has_value());
  const auto other = NewCall(1, absl::InfiniteDuration());
  other->context.client = "other";
  Start(*other);
  held.Release();
  other->done.WaitForNotification();
  EXPECT_TRUE(other->status.ok()) << other->status;
  for (const auto& call : flood) call->done.WaitForNotification();
}

// Of two clients' requests of one size, the one that came last does not wait
// for all of the other's.
TEST_F(RankPipelineTest, AFloodLeavesAnotherClientTheirShareOfTheWorker) {
  HeldWorker held(*this);
  SetTileCost(absl::Milliseconds(1));
  std::vector<std::unique_ptr<Call>> flood;
  for (int i = 0; i < 20; ++i) {
    flood.push_back(NewCall(640, absl::InfiniteDuration()));
    flood.back()->context.client = "flood";
    Start(*flood.back());
  }
  const auto other = NewCall(640, absl::InfiniteDuration());
  other->context.client = "other";
  int before = 0;
  other->at_end = [&] {
    for (const auto& call : flood) before += call->done.HasBeenNotified();
  };
  Start(*other);
  held.Release();
  other->done.WaitForNotification();
  EXPECT_LE(before, 2);
  for (const auto& call : flood) call->done.WaitForNotification();
}

// A flood of one client that fills their time to the deadline leaves another's.
TEST_F(RankPipelineTest, AFloodDoesNotPredictAnotherClientAway) {
  HeldWorker held(*this);
  SetTileCost(absl::Seconds(1));
  std::vector<std::unique_ptr<Call>> flood;
  do {
    flood.push_back(NewCall(64, absl::Seconds(40)));
    flood.back()->context.client = "flood";
    Start(*flood.back());
  } while (!flood.back()->done.HasBeenNotified());
  EXPECT_GT(flood.size(), 10);
  EXPECT_TRUE(absl::IsResourceExhausted(flood.back()->status));
  EXPECT_THAT(std::string(flood.back()->status.message()),
              HasSubstr("would take"));
  const auto other = NewCall(64, absl::Seconds(10));
  other->context.client = "other";
  Start(*other);
  EXPECT_FALSE(other->done.HasBeenNotified()) << other->status;
  held.Release();
  for (const auto& call : flood) call->done.WaitForNotification();
  other->done.WaitForNotification();
  EXPECT_TRUE(other->status.ok()) << other->status;
}

// Beside other processes.
class BesideOthersTest : public RankPipelineTest {
 protected:
  // The worker is busy for so long, a millisecond after the other, and has a
  // processor for `share` of each.
  void Work(absl::Duration time, double share) {
    for (absl::Duration done; done < time; done += absl::Milliseconds(1)) {
      absl::Notification worked;
      Interrupt([&] {
        clock_.Advance(absl::Milliseconds(1), absl::Milliseconds(1) * share);
        worked.Notify();
      });
      worked.WaitForNotification();
    }
    // What it saw of the last one is known when it does something else.
    absl::Notification seen;
    Interrupt([&] { seen.Notify(); });
    seen.WaitForNotification();
  }

  // How many requests of 2 ms of work, whose deadlines are in 200 ms, are let
  // in one after the other while the worker does not come to them.
  size_t Admitted() {
    HeldWorker held(*this);
    SetTileCost(absl::Milliseconds(1));
    std::vector<std::unique_ptr<Call>> calls;
    do {
      calls.push_back(NewCall(64, absl::Milliseconds(200)));
      Start(*calls.back());
    } while (!calls.back()->done.HasBeenNotified());
    EXPECT_TRUE(absl::IsResourceExhausted(calls.back()->status));
    for (const auto& call : calls) call->cancelled = true;
    rank_->NoticeCancellation();
    held.Release();
    for (const auto& call : calls) call->done.WaitForNotification();
    return calls.size() - 1;
  }
};

TEST_F(BesideOthersTest, HalfOfTheProcessorsIsHalfOfTheLoad) {
  const size_t alone = Admitted();
  EXPECT_GE(alone, 45);  // half of 200 ms
  EXPECT_LE(alone, 50);
  Work(absl::Milliseconds(500), 0.5);
  EXPECT_NEAR(static_cast<double>(Admitted()), alone * 0.5, 3);
  Work(absl::Milliseconds(500), 0.25);
  EXPECT_NEAR(static_cast<double>(Admitted()), alone * 0.27, 3);
}

TEST_F(BesideOthersTest, TwentyTimesSlowerIsNotForEver) {
  const size_t alone = Admitted();
  Work(absl::Seconds(1), 0.05);
  const size_t starved = Admitted();
  EXPECT_GE(starved, 1);
  EXPECT_LE(starved, alone / 8);
  Work(absl::Milliseconds(200), 1);
  EXPECT_GE(Admitted(), alone * 0.95);
}

// A tile costs the time in which it had a processor, however long it takes.
TEST_F(BesideOthersTest, WaitingForAProcessorIsNoCost) {
  const auto call = NewCall(kCandidates, absl::Hours(1));
  Start(*call);
  call->done.WaitForNotification();
  EXPECT_TRUE(call->status.ok()) << call->status;
  // The clocks stood still; absl::Now() did not.
  EXPECT_EQ(model().tile_cost.mean(), absl::ZeroDuration());
}

// What was refused is told so when another try makes sense, the later the more
// wait for that; and never so late that nothing can be done without it.
TEST_F(BesideOthersTest, ARefusalWaitsForItsTurn) {
  HeldWorker held(*this);
  SetTileCost(absl::Milliseconds(1));
  std::vector<std::unique_ptr<Call>> calls;
  do {
    calls.push_back(NewCall(64, absl::Seconds(2)));
    Start(*calls.back());
  } while (calls.size() < 100 && !calls.back()->done.HasBeenNotified());
  const auto refused = [&](absl::Duration time) {
    const auto call = NewCall(64 * 600, time);
    return rank_->Admit(call->request, call->context).status();
  };
  const absl::Duration time = absl::Seconds(1);
  const absl::Status first = refused(time);
  ASSERT_TRUE(absl::IsResourceExhausted(first)) << first;
  const absl::Time begin = absl::Now();
  absl::Notification told;
  absl::Status status;
  rank_->Refuse(first, {begin, begin + time, nullptr, ""}, 1,
                [&](absl::Status end) {
                  status = std::move(end);
                  told.Notify();
                });
  EXPECT_FALSE(told.HasBeenNotified());
  EXPECT_EQ(AdmissionMetrics(metrics_.registry).refusals_held.Value(), 1);
  EXPECT_GT(*RetryDelay(refused(time)), *RetryDelay(first));
  told.WaitForNotification();
  EXPECT_GE(absl::Now() - begin, absl::Milliseconds(100));
  EXPECT_EQ(status.code(), first.code());
  EXPECT_EQ(status.message(), first.message());
  EXPECT_LT(*RetryDelay(status), *RetryDelay(first));
  held.Release();
  for (const auto& call : calls) call->done.WaitForNotification();
}

// What is no matter of too much work is told at once.
TEST_F(BesideOthersTest, OnlyTooMuchWorkWaits) {
  bool told = false;
  rank_->Refuse(absl::NotFoundError("no such model"),
                {absl::Now(), absl::InfiniteFuture(), nullptr, ""}, 1,
                [&](absl::Status) { told = true; });
  EXPECT_TRUE(told);
}

}  // namespace
}  // namespace qlarank::testing
