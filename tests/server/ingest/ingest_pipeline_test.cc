#include "server/ingest/ingest_pipeline.h"

#include <atomic>
#include <chrono>
#include <future>
#include <memory>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/pipeline.h"
#include "server/work/overload.h"
#include "server/work/proto_time.h"
#include "tests/testing/faulty_state_store.h"
#include "tests/testing/requests.h"

namespace qlarank::testing {
namespace {

using Result = absl::StatusOr<v1::AppendEventsResponse>;
using OnFull = IngestPipeline::OnFull;

class IngestPipelineTest : public ::testing::Test {
 protected:
  void Start() { pipeline_ = *Pipeline::Create(options_, store_, metrics_); }

  // The result, once it is there. `request` must stay until then.
  std::future<Result> Append(const v1::AppendEventsRequest& request,
                             OnFull on_full = OnFull::kRefuse) {
    auto promise = std::make_shared<std::promise<Result>>();
    pipeline_->ingest().Append(
        request, absl::Now(), caller_, on_full,
        [promise](AppendResult result) {
          if (result.status.ok()) {
            promise->set_value(std::move(result.response));
          } else {
            promise->set_value(result.status);
          }
        });
    return promise->get_future();
  }

  IngestPipeline::Caller caller_{"client"};
  ServerOptions options_ = TestOptions();
  const std::shared_ptr<const Bundle> bundle_ = LoadGolden(GoldenModel());
  Metrics metrics_;
  FaultyStateStore store_;
  std::unique_ptr<Pipeline> pipeline_;
};

TEST_F(IngestPipelineTest, AFailedWriteIsNotSeenAndMayBeSentAgain) {
  std::atomic<bool> fail{true};
  store_.before_append = [&](auto) {
    return fail ? absl::UnavailableError("disk on fire") : absl::OkStatus();
  };
  Start();
  const auto request = MakeAppend(*bundle_, "user", 1, 3);
  const absl::Status status = Append(request).get().status();
  EXPECT_TRUE(absl::IsUnavailable(status)) << status;
  EXPECT_THAT(std::string(status.message()),
              ::testing::HasSubstr("disk on fire"));
  fail = false;
  EXPECT_EQ(Append(request).get()->applied(), 3);
  EXPECT_EQ(Append(request).get()->duplicates(), 3);
}

// The second of two batches under way must not be written when the first was
// not: its events would make the first one's look like duplicates.
TEST_F(IngestPipelineTest, AFailedWriteLeavesNoGap) {
  std::atomic<bool> failed{false};
  store_.before_append = [&](absl::Span<const UserAppend> appends) {
    return appends[0].user_id == "user" && !failed.exchange(true)
               ? absl::UnavailableError("once")
               : absl::OkStatus();
  };
  options_.ingest.max_group_events = 1;  // each in a group of its own
  Start();
  const auto first = MakeAppend(*bundle_, "user", 1, 3);
  const auto second = MakeAppend(*bundle_, "user", 4, 6);
  const auto other = MakeAppend(*bundle_, "other", 1, 2);
  auto first_result = Append(first);
  auto second_result = Append(second);
  auto other_result = Append(other);
  EXPECT_TRUE(absl::IsUnavailable(first_result.get().status()));
  const absl::Status status = second_result.get().status();
  EXPECT_TRUE(absl::IsAborted(status)) << status;
  EXPECT_THAT(std::string(status.message()),
              ::testing::HasSubstr("sequence 1 was refused"));
  EXPECT_TRUE(other_result.get().ok());
  // Sent again, in order, both are new.
  EXPECT_EQ(Append(first).get()->applied(), 3);
  EXPECT_EQ(Append(second).get()->applied(), 3);
}

TEST_F(IngestPipelineTest, AFullQueueRefusesUnlessTheCallerWaits) {
  absl::Notification go, begun;
  std::atomic<int> calls{0};
  store_.before_append = [&](auto) {
    if (++calls == 1) {
      begun.Notify();
      go.WaitForNotification();
    }
    return absl::OkStatus();
  };
  options_.ingest.shards = 1;
  options_.ingest.max_queued_events = 5;
  Start();
  const auto one = MakeAppend(*bundle_, "user", 1, 3);
  const auto two = MakeAppend(*bundle_, "user", 4, 6);
  auto written = Append(one);
  begun.WaitForNotification();
  EXPECT_FALSE(pipeline_->ingest().full("client"));
  EXPECT_TRUE(absl::IsResourceExhausted(Append(two).get().status()));
  auto waiting = Append(two, OnFull::kWait);
  EXPECT_EQ(waiting.wait_for(std::chrono::seconds(0)),
            std::future_status::timeout);
  EXPECT_FALSE(pipeline_->ingest().full("client"));
  go.Notify();
  EXPECT_EQ(written.get()->applied(), 3);
  EXPECT_EQ(waiting.get()->applied(), 3);
  EXPECT_FALSE(pipeline_->ingest().full("client"));
}

// An append that has room in the one queue and none in the other keeps none.
TEST_F(IngestPipelineTest, ARefusedAppendLeavesRoomInEveryQueue) {
  std::atomic<absl::Notification*> go{nullptr};
  store_.before_append = [&](auto) {
    if (auto* const wait = go.load()) wait->WaitForNotification();
    return absl::OkStatus();
  };
  options_.ingest.shards = 2;
  options_.ingest.max_queued_events = 100;
  Start();
  v1::AppendEventsRequest all;  // users of both queues
  all.set_source("test");
  for (uint64_t n = 1; n <= 10; ++n) {
    for (int user = 0; user < 32; ++user) {
      AddEvent(*bundle_, absl::StrCat("user", user), n, all);
    }
  }
  v1::AppendEventsRequest first = all;
  first.mutable_events()->DeleteSubrange(32, first.events_size() - 32);
  // Whichever queue it is that is full: fillers are of the one or the other.
  for (int i = 0; i < 16; ++i) {
    absl::Notification release;
    go = &release;
    const auto fill = MakeAppend(*bundle_, absl::StrCat("filler", i), 1, 100);
    auto filled = Append(fill, OnFull::kWait);
    EXPECT_TRUE(pipeline_->ingest().full("client"));
    EXPECT_TRUE(absl::IsResourceExhausted(Append(first).get().status()));
    go = nullptr;
    release.Notify();
    EXPECT_EQ(filled.get()->applied(), 100);
  }
  // More than there is room for: taken where nothing is held.
  EXPECT_EQ(Append(all).get()->applied(), 320);
}

TEST_F(IngestPipelineTest, WhatWaitsSharesOneCommit) {
  absl::Notification go;
  std::atomic<int> calls{0};
  store_.before_append = [&](auto) {
    if (++calls == 1) go.WaitForNotification();
    return absl::OkStatus();
  };
  options_.ingest.shards = 1;
  Start();
  std::vector<v1::AppendEventsRequest> requests;
  for (uint64_t n = 1; n <= 50; ++n) {
    requests.push_back(MakeAppend(*bundle_, "user", n, n));
  }
  std::vector<std::future<Result>> results;
  for (const auto& request : requests) results.push_back(Append(request));
  go.Notify();
  for (auto& result : results) EXPECT_EQ(result.get()->applied(), 1);
  EXPECT_LE(calls, 3);
}

TEST_F(IngestPipelineTest, AnErasureIsOrderedWithAppends) {
  Start();
  const auto before = MakeAppend(*bundle_, "user", 1, 9);
  const auto after = MakeAppend(*bundle_, "user", 1, 2);
  auto first = Append(before);
  std::promise<absl::StatusOr<uint64_t>> removed;
  pipeline_->ingest().DeleteUser("user", {}, [&](absl::StatusOr<uint64_t> count) {
    removed.set_value(count);
  });
  auto second = Append(after);
  EXPECT_EQ(first.get()->applied(), 9);
  EXPECT_EQ(*removed.get_future().get(), 9);
  EXPECT_EQ(second.get()->applied(), 2);
  EXPECT_EQ(store_.GetHead("user")->last_sequence, 2);
}

// A flood of erasures waits in a queue that has a bound, and leaves others room.
TEST_F(IngestPipelineTest, ErasuresThatWaitAreSoMany) {
  options_.ingest.shards = 1;
  Start();
  absl::Notification begun, go;
  pipeline_->partitions().OwnerOf("user").Trim("user", 1, [&](const absl::Status&) {
    begun.Notify();
    go.WaitForNotification();
  });
  begun.WaitForNotification();
  std::atomic<int> refused = 0, erased = 0;
  const auto erase = [&](const std::string& principal) {
    IngestPipeline::ErasureOrder order;
    order.note.principal = principal;
    pipeline_->ingest().DeleteUser(
        "user", std::move(order), [&](const absl::StatusOr<uint64_t>& count) {
          ++(absl::IsResourceExhausted(count.status()) ? refused : erased);
        });
  };
  constexpr int kFlood = 5'000;
  for (int i = 0; i < kFlood; ++i) erase("flood");
  EXPECT_GT(refused, kFlood - 1'024);
  EXPECT_LT(refused, kFlood);
  const int before = refused;
  erase("other");
  EXPECT_EQ(refused, before);
  go.Notify();
  pipeline_ = nullptr;
  EXPECT_EQ(refused + erased, kFlood + 1);
}

TEST_F(IngestPipelineTest, NoModelKeepsAnErasedUserInMemory) {
  options_ = TestOptions(GoldenModel("dot_l1_plain"));
  options_.models.push_back(GoldenModel("dot_l4_silu"));
  options_.models[1].default_model = false;
  Start();
  const auto events =
      MakeAppend(*LoadGolden(options_.models[0]), "user", 1, 9);
  EXPECT_EQ(Append(events).get()->applied(), 9);
  ASSERT_TRUE(pipeline_->WaitUntilFolded(absl::Seconds(60)));
  EXPECT_EQ(metrics_.state.cached_users.Value(), 2);  // one of each model
  std::promise<absl::StatusOr<uint64_t>> removed;
  pipeline_->ingest().DeleteUser(
      "user", {},
      [&](absl::StatusOr<uint64_t> count) { removed.set_value(count); });
  EXPECT_EQ(*removed.get_future().get(), 9);
  EXPECT_EQ(metrics_.state.cached_users.Value(), 0);
  EXPECT_EQ(metrics_.state.cached_state_bytes.Value(), 0);
}

TEST_F(IngestPipelineTest, CountsWhatBecameOfEvents) {
  Start();
  auto request = MakeAppend(*bundle_, "user", 1, 4);
  Append(request).get().IgnoreError();
  Append(request).get().IgnoreError();
  request.clear_source();
  Append(request).get().IgnoreError();
  pipeline_ = nullptr;  // waits for the writers
  EXPECT_EQ(metrics_.ingest.events_applied.Value(), 4);
  EXPECT_EQ(metrics_.ingest.events_duplicate.Value(), 4);
  EXPECT_EQ(metrics_.ingest.events_invalid.Value(), 4);
  EXPECT_EQ(metrics_.ingest.events_late.Value(), 0);
}

// docs/model.md section 2: folded as they come, and counted.
TEST_F(IngestPipelineTest, LateEventsAreAppliedAndCounted) {
  Start();
  v1::AppendEventsRequest request;
  request.set_source("test");
  // By their times the 2nd and the 4th are late, one of another user's is not.
  for (const uint64_t time : {5, 1, 6, 5}) {
    AddEvent(*bundle_, "user", time, request);
    request.mutable_events()->rbegin()->set_sequence(request.events_size());
  }
  AddEvent(*bundle_, "other", 2, request);
  EXPECT_EQ(Append(request).get()->applied(), 5);
  Append(request).get().IgnoreError();  // duplicates are not late again
  pipeline_ = nullptr;
  EXPECT_EQ(metrics_.ingest.events_late.Value(), 2);
  const auto log = *store_.ReadEvents("user", 1, 10);
  ASSERT_EQ(log.size(), 4);
  for (size_t i = 0; i < log.size(); ++i) {
    EXPECT_EQ(log[i].time_us, ToMicros(request.events(i).event().time()));
  }
  EXPECT_EQ(store_.GetHead("user")->last_event_time_us, log[2].time_us);
}

TEST_F(IngestPipelineTest, EventsFarInTheFutureAreRefusedAndCounted) {
  options_.limits.max_event_future = absl::Hours(1);
  Start();
  auto request = MakeAppend(*bundle_, "user", 1, 2);
  const absl::Time now = absl::Now();
  const auto set_time = [&](absl::Time time) {
    *request.mutable_events(1)->mutable_event()->mutable_time() =
        FromMicros(absl::ToUnixMicros(time));
  };
  set_time(now + absl::Hours(2));
  const auto refused = Append(request).get();
  EXPECT_EQ(refused->applied(), 1);
  ASSERT_EQ(refused->refusals_size(), 1);
  EXPECT_EQ(refused->refusals(0).index(), 1);
  EXPECT_EQ(refused->refusals(0).status().code(),
            static_cast<int>(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(refused->refusals(0).status().message(),
              ::testing::AllOf(
                  ::testing::StartsWith("events[1].event.time: 2"),
                  ::testing::HasSubstr("must not be more than 1h ahead")));
  EXPECT_EQ(metrics_.ingest.events_invalid.Value(), 1);
  EXPECT_EQ(store_.GetHead("user")->last_sequence, 1);
  set_time(now + absl::Minutes(59));
  EXPECT_EQ(Append(request).get()->applied(), 1);
}

// A source that starts again from an older offset, at whatever event.
TEST_F(IngestPipelineTest, AReplayFromAnOlderOffsetChangesNothing) {
  Start();
  const auto once = MakeAppend(*bundle_, "user", 1, 20);
  ASSERT_EQ(Append(once).get()->applied(), 20);
  const UserHead head = *store_.GetHead("user");
  const auto log = *store_.ReadEvents("user", 1, 100);
  for (const uint64_t offset : {1, 7, 20}) {
    const auto replay = MakeAppend(*bundle_, "user", offset, 20);
    const auto result = Append(replay).get();
    EXPECT_EQ(result->applied(), 0);
    EXPECT_EQ(result->duplicates(), 21 - offset);
    EXPECT_EQ(*store_.GetHead("user"), head);
  }
  // And it goes on where it was.
  EXPECT_EQ(Append(MakeAppend(*bundle_, "user", 15, 25)).get()->applied(), 5);
  auto longer = *store_.ReadEvents("user", 1, 100);
  longer.resize(20);
  EXPECT_EQ(longer, log);
}

// Neither written nor in the way of what comes after it.
TEST_F(IngestPipelineTest, WhatNobodyWaitsForAnyMoreIsNotWritten) {
  absl::Notification go, begun;
  std::atomic<int> calls{0};
  store_.before_append = [&](auto) {
    if (++calls == 1) {
      begun.Notify();
      go.WaitForNotification();
    }
    return absl::OkStatus();
  };
  options_.ingest.shards = 1;
  options_.ingest.max_queued_events = 8;
  Start();
  const auto one = MakeAppend(*bundle_, "user", 1, 1);
  const auto two = MakeAppend(*bundle_, "user", 2, 3);
  const auto three = MakeAppend(*bundle_, "user", 4, 5);
  auto written = Append(one);
  begun.WaitForNotification();
  std::atomic<bool> cancelled{false};
  caller_ = {"client", &cancelled};
  auto given_up = Append(two);
  caller_ = {"client", &cancelled, absl::Now()};
  auto late = Append(three);
  cancelled = true;
  // Nor is it taken when nobody waits from the start.
  const auto at_once = [&] {
    auto result = Append(three);
    const bool ready =
        result.wait_for(std::chrono::seconds(0)) == std::future_status::ready;
    EXPECT_TRUE(ready) << "it waits for the writer";
    return ready ? result.get().status() : absl::OkStatus();
  };
  EXPECT_TRUE(absl::IsDeadlineExceeded(at_once()));
  caller_ = {"client", &cancelled};
  EXPECT_TRUE(absl::IsCancelled(at_once()));
  go.Notify();
  EXPECT_EQ(written.get()->applied(), 1);
  EXPECT_TRUE(absl::IsCancelled(given_up.get().status()));
  EXPECT_TRUE(absl::IsDeadlineExceeded(late.get().status()));
  EXPECT_EQ(store_.GetHead("user")->last_sequence, 1);
  // Sent again they are new, and the whole queue is free for them.
  caller_ = {"client"};
  const auto again = MakeAppend(*bundle_, "user", 2, 9);
  EXPECT_EQ(Append(again).get()->applied(), 8);
}

TEST_F(IngestPipelineTest, AClientDoesNotFillTheQueue) {
  absl::Notification go, begun;
  std::atomic<int> calls{0};
  store_.before_append = [&](auto) {
    if (++calls == 1) {
      begun.Notify();
      go.WaitForNotification();
    }
    return absl::OkStatus();
  };
  options_.ingest.shards = 1;
  options_.ingest.max_queued_events = 100;
  Start();
  const auto event = MakeAppend(*bundle_, "user", 1, 1);
  std::vector<std::future<Result>> flood;
  flood.push_back(Append(event));
  begun.WaitForNotification();
  for (int i = 0; i < 99; ++i) flood.push_back(Append(event));
  EXPECT_TRUE(pipeline_->ingest().full("client"));
  EXPECT_FALSE(pipeline_->ingest().full("other"));
  caller_ = {"other"};
  const auto few = MakeAppend(*bundle_, "other", 1, 20);
  auto other = Append(few);
  std::vector<std::promise<absl::StatusOr<uint64_t>>> erased(9);
  for (auto& promise : erased) {
    pipeline_->ingest().DeleteUser("user", {},
                                   [&](absl::StatusOr<uint64_t> count) {
                                     promise.set_value(std::move(count));
                                   });
  }
  go.Notify();
  EXPECT_EQ(other.get()->applied(), 20);
  int refused = 0;
  for (auto& result : flood) {
    const absl::Status status = result.get().status();
    if (status.ok()) continue;
    ++refused;
    EXPECT_TRUE(absl::IsResourceExhausted(status)) << status;
    EXPECT_EQ(RetryDelay(status), kQueueRetryDelay);
  }
  EXPECT_EQ(refused, 25);
  // Erasures have a queue of their own.
  for (auto& promise : erased) {
    const absl::Status status = promise.get_future().get().status();
    EXPECT_TRUE(status.ok()) << status;
  }
}

// -- What follows a refused event --------------------------------------------

// The writer is at work on an event of somebody else until Go.
class BusyWriterTest : public IngestPipelineTest {
 protected:
  void StartBusy(size_t max_queued_events) {
    store_.before_append = [this](auto) {
      if (++calls_ == 1) {
        begun_.Notify();
        go_.WaitForNotification();
      }
      return absl::OkStatus();
    };
    options_.ingest.shards = 1;
    options_.ingest.max_queued_events = max_queued_events;
    Start();
    written_ = Append(somebody_);
    begun_.WaitForNotification();
  }
  void Go() {
    go_.Notify();
    EXPECT_EQ(written_.get()->applied(), 1);
  }

  const v1::AppendEventsRequest somebody_ =
      MakeAppend(*bundle_, "somebody", 1, 1);

 private:
  absl::Notification go_, begun_;
  std::atomic<int> calls_{0};
  std::future<Result> written_;
};

// A batch with an invalid event, between two others under way.
TEST_F(BusyWriterTest, AnInvalidEventHoldsBackWhatFollowsIt) {
  StartBusy(100);
  const auto first = MakeAppend(*bundle_, "user", 1, 2);
  auto second = MakeAppend(*bundle_, "user", 3, 4);
  const auto third = MakeAppend(*bundle_, "user", 5, 6);
  second.mutable_events(1)->mutable_event()->set_action("eat");
  auto one = Append(first), two = Append(second), three = Append(third);
  Go();
  EXPECT_EQ(one.get()->applied(), 2);
  EXPECT_EQ(two.get()->applied(), 1);
  EXPECT_TRUE(absl::IsAborted(three.get().status()));
  // Sent again, and right, it is there, and what follows it, too.
  const auto again = MakeAppend(*bundle_, "user", 3, 6);
  const auto result = Append(again).get();
  EXPECT_EQ(result->applied(), 3);
  EXPECT_EQ(result->duplicates(), 1);
  EXPECT_EQ(store_.GetHead("user")->last_sequence, 6);
  EXPECT_EQ(metrics_.ingest.fence_positions.Value(), 0);
  EXPECT_EQ(metrics_.ingest.events_held_back.Value(), 2);
}

TEST_F(BusyWriterTest, AFullQueueHoldsBackWhatFollows) {
  StartBusy(5);
  const auto many = MakeAppend(*bundle_, "user", 1, 5);
  const auto one = MakeAppend(*bundle_, "user", 6, 6);
  EXPECT_TRUE(absl::IsResourceExhausted(Append(many).get().status()));
  auto later = Append(one);  // there is room for it
  Go();
  EXPECT_TRUE(absl::IsAborted(later.get().status()));
  EXPECT_EQ(Append(many).get()->applied(), 5);
  EXPECT_EQ(Append(one).get()->applied(), 1);
}

TEST_F(BusyWriterTest, WhatNobodyWaitedForHoldsBackWhatFollows) {
  StartBusy(100);
  const auto first = MakeAppend(*bundle_, "user", 1, 2);
  const auto second = MakeAppend(*bundle_, "user", 3, 3);
  std::atomic<bool> cancelled{false};
  caller_ = {"client", &cancelled};
  auto given_up = Append(first);
  cancelled = true;
  caller_ = {"client"};
  auto later = Append(second);
  Go();
  EXPECT_TRUE(absl::IsCancelled(given_up.get().status()));
  EXPECT_TRUE(absl::IsAborted(later.get().status()));
  EXPECT_EQ(Append(first).get()->applied(), 2);
  EXPECT_EQ(Append(second).get()->applied(), 1);
}

// More events than a request may have are refused without an outcome each.
TEST_F(IngestPipelineTest, ARequestThatIsTooLongHoldsBackWhatFollows) {
  options_.limits.max_events_per_append = 3;
  Start();
  const auto many = MakeAppend(*bundle_, "user", 1, 4);
  const auto last = MakeAppend(*bundle_, "user", 5, 5);
  EXPECT_TRUE(absl::IsInvalidArgument(Append(many).get().status()));
  EXPECT_TRUE(absl::IsAborted(Append(last).get().status()));
  EXPECT_EQ(Append(MakeAppend(*bundle_, "user", 1, 3)).get()->applied(), 3);
  EXPECT_EQ(Append(MakeAppend(*bundle_, "user", 4, 5)).get()->applied(), 2);
}

// One damaged head among others.
TEST_F(IngestPipelineTest, OneBadUserStopsNobodyElse) {
  store_.before_get_head = [](absl::string_view user_id) {
    return user_id == "user7" ? absl::DataLossError("checksum mismatch")
                              : absl::OkStatus();
  };
  Start();
  v1::AppendEventsRequest request;
  request.set_source("test");
  for (int i = 0; i < 100; ++i) {
    AddEvent(*bundle_, absl::StrCat("user", i), 1, request);
  }
  const auto result = Append(request).get();
  EXPECT_EQ(result->applied(), 99);
  ASSERT_EQ(result->refusals_size(), 1);
  EXPECT_EQ(result->refusals(0).index(), 7);
  EXPECT_EQ(result->refusals(0).status().code(),
            static_cast<int>(absl::StatusCode::kDataLoss));
  EXPECT_EQ(result->outcomes(7), v1::EVENT_OUTCOME_REFUSED);
  EXPECT_EQ(result->outcomes(8), v1::EVENT_OUTCOME_APPLIED);
}

TEST_F(IngestPipelineTest, ARefusedEventThatIsGivenUpHoldsNothingBack) {
  Start();
  auto bad = MakeAppend(*bundle_, "user", 1, 1);
  bad.mutable_events(0)->clear_event();
  const auto next = MakeAppend(*bundle_, "user", 2, 2);
  EXPECT_TRUE(absl::IsInvalidArgument(Append(bad).get().status()));
  EXPECT_TRUE(absl::IsAborted(Append(next).get().status()));
  bad.set_give_up_refused(true);
  EXPECT_TRUE(absl::IsInvalidArgument(Append(bad).get().status()));
  EXPECT_EQ(Append(next).get()->applied(), 1);
}

// The idle sweep looks, and leaves: what was refused is still waited for.
TEST_F(IngestPipelineTest, OnlyAnErasureGivesUpWhatWasRefused) {
  Start();
  auto bad = MakeAppend(*bundle_, "user", 2, 2);
  bad.mutable_events(0)->clear_event();
  const auto first = MakeAppend(*bundle_, "user", 1, 1);
  const auto last = MakeAppend(*bundle_, "user", 3, 3);
  EXPECT_EQ(Append(first).get()->applied(), 1);
  EXPECT_TRUE(absl::IsInvalidArgument(Append(bad).get().status()));
  const auto erase = [&](IngestPipeline::ErasureOrder order) {
    std::promise<absl::StatusOr<uint64_t>> removed;
    pipeline_->ingest().DeleteUser(
        "user", std::move(order),
        [&](absl::StatusOr<uint64_t> count) { removed.set_value(count); });
    return *removed.get_future().get();
  };
  EXPECT_EQ(erase({{}, [](const UserHead&) { return false; }}), 0);
  EXPECT_TRUE(absl::IsAborted(Append(last).get().status()));
  EXPECT_EQ(erase({}), 1);
  EXPECT_EQ(Append(last).get()->applied(), 1);
}

// -- Marks of sources --------------------------------------------------------

class MarkTest : public IngestPipelineTest {
 protected:
  absl::StatusOr<SourceMark> Mark(const std::string& source, uint64_t through,
                                  const std::string& note = "") {
    std::promise<absl::StatusOr<SourceMark>> promise;
    pipeline_->ingest().MarkSource(
        source, {through, note}, "client",
        [&](absl::StatusOr<SourceMark> mark) { promise.set_value(mark); });
    return promise.get_future().get();
  }
  absl::StatusOr<SourceMark> Get(const std::string& source) {
    std::promise<absl::StatusOr<SourceMark>> promise;
    pipeline_->ingest().GetSource(
        source, "client",
        [&](absl::StatusOr<SourceMark> mark) { promise.set_value(mark); });
    return promise.get_future().get();
  }
};

TEST_F(MarkTest, AMarkedSourceIsAllDuplicates) {
  Start();
  const auto events = MakeAppend(*bundle_, "user", 1, 3, "file");
  EXPECT_EQ(Get("file")->complete_through, 0);
  EXPECT_EQ(Append(events).get()->applied(), 3);
  EXPECT_EQ(*Mark("file", 3, "digest"), (SourceMark{3, "digest"}));
  EXPECT_EQ(*Mark("file", 2, "older"), (SourceMark{3, "digest"}));
  EXPECT_EQ(*Get("file"), (SourceMark{3, "digest"}));
  EXPECT_EQ(Append(events).get()->duplicates(), 3);
  // Of whoever it is.
  const auto others = MakeAppend(*bundle_, "other", 1, 4, "file");
  const auto result = Append(others).get();
  EXPECT_EQ(result->duplicates(), 3);
  EXPECT_EQ(result->applied(), 1);
}

TEST_F(MarkTest, WrongMarksAreRefused) {
  Start();
  for (const absl::Status& status :
       {Mark("", 1).status(), Mark("file", 0).status(),
        Mark("file", uint64_t{1} << 63).status(),
        Mark("file", 1, std::string(1025, 'x')).status(),
        Get(std::string(1000, 'x')).status()}) {
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
  }
  store_.before_mark = [](auto) { return absl::InternalError("disk on fire"); };
  EXPECT_TRUE(absl::IsUnavailable(Mark("file", 1).status()));
  EXPECT_EQ(Get("file")->complete_through, 0);
}

TEST_F(MarkTest, AMarkGivesUpWhatWasRefused) {
  Start();
  auto bad = MakeAppend(*bundle_, "user", 1, 1);
  bad.mutable_events(0)->clear_event();
  const auto next = MakeAppend(*bundle_, "user", 2, 2);
  EXPECT_TRUE(absl::IsInvalidArgument(Append(bad).get().status()));
  EXPECT_TRUE(absl::IsAborted(Append(next).get().status()));
  ASSERT_TRUE(Mark("test", 1).ok());
  EXPECT_EQ(Append(next).get()->applied(), 1);
}

// It comes after the appends that were queued before it.
TEST_F(MarkTest, AMarkIsOrderedWithAppends) {
  options_.ingest.shards = 3;
  Start();
  for (uint64_t n = 1; n <= 50; ++n) {
    v1::AppendEventsRequest request;
    request.set_source("test");
    for (int user = 0; user < 9; ++user) {
      AddEvent(*bundle_, absl::StrCat("user", user), n, request);
    }
    auto appended = Append(request);
    ASSERT_EQ(Mark("test", n)->complete_through, n);
    ASSERT_EQ(appended.get()->applied(), 9);
  }
}

// A file a day: what it costs a user does not grow.
TEST_F(MarkTest, AThousandFilesLeaveNothingInAHead) {
  Start();
  for (int day = 1; day <= 1000; ++day) {
    const std::string source = absl::StrCat("day-", day);
    auto request = MakeAppend(*bundle_, "user", day, day, source);
    ASSERT_EQ(Append(request).get()->applied(), 1) << source;
    ASSERT_TRUE(Mark(source, day).ok());
    ASSERT_LE(store_.GetHead("user")->watermarks.size(), 1u) << source;
  }
  const auto again = MakeAppend(*bundle_, "user", 7, 7, "day-7");
  EXPECT_EQ(Append(again).get()->duplicates(), 1);
  EXPECT_EQ(metrics_.ingest.source_marks.Value(), 1000);
  // And the limit is for sources that are open.
  for (uint32_t i = 0; i < options_.limits.max_sources_per_user - 1; ++i) {
    ASSERT_EQ(Append(MakeAppend(*bundle_, "user", 1, 1, absl::StrCat(i)))
                  .get()
                  ->applied(),
              1);
  }
}

}  // namespace
}  // namespace qlarank::testing
