#include "server/pipeline/ingest_pipeline.h"

#include <atomic>
#include <chrono>
#include <future>
#include <memory>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/pipeline/overload.h"
#include "server/pipeline/pipeline.h"
#include "server/pipeline/proto_time.h"
#include "tests/server/pipeline/faulty_state_store.h"
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
        [promise](Result result) { promise->set_value(std::move(result)); });
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
  EXPECT_TRUE(absl::IsUnavailable(status)) << status;
  EXPECT_THAT(std::string(status.message()),
              ::testing::HasSubstr("sequence 1 could not be written"));
  EXPECT_TRUE(other_result.get().ok());
  // Sent again, in order, both are new.
  EXPECT_EQ(Append(first).get()->applied(), 3);
  EXPECT_EQ(Append(second).get()->applied(), 3);
}

TEST_F(IngestPipelineTest, AFullQueueRefusesUnlessTheCallerHoldsBackItself) {
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
  auto queued = Append(two, OnFull::kQueue);
  EXPECT_TRUE(pipeline_->ingest().full("client"));
  go.Notify();
  EXPECT_EQ(written.get()->applied(), 3);
  EXPECT_EQ(queued.get()->applied(), 3);
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
    auto filled = Append(fill, OnFull::kQueue);
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
  const absl::Status status = Append(request).get().status();
  EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
  EXPECT_THAT(std::string(status.message()),
              ::testing::AllOf(
                  ::testing::StartsWith("events[1].event.time: 2"),
                  ::testing::HasSubstr("must not be more than 1h ahead")));
  EXPECT_EQ(metrics_.ingest.events_invalid.Value(), 2);
  EXPECT_EQ(store_.GetHead("user")->last_sequence, 0);  // all or nothing
  set_time(now + absl::Minutes(59));
  EXPECT_EQ(Append(request).get()->applied(), 2);
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
  // Five were free.
  int not_erased = 0;
  for (auto& promise : erased) {
    const absl::Status status = promise.get_future().get().status();
    if (!status.ok()) ++not_erased;
    EXPECT_TRUE(status.ok() || absl::IsResourceExhausted(status)) << status;
  }
  EXPECT_GE(not_erased, 4);
  EXPECT_LT(not_erased, 9);  // else none was let in, whatever was free
}

}  // namespace
}  // namespace qlarank::testing
