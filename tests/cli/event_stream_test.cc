#include "cli/event_stream.h"

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/cli/fake_server.h"

namespace qlarank {
namespace {

using ::testing::HasSubstr;

constexpr int kUsers = 7;

// Event `sequence` of a file shared by all users.
v1::UserEvent MakeEvent(uint64_t sequence, const std::string& action = "buy") {
  v1::UserEvent event;
  event.set_user_id(absl::StrCat("user", sequence % kUsers));
  event.set_sequence(sequence);
  event.mutable_event()->set_item_id(1'000 + sequence);
  event.mutable_event()->set_action(action);
  event.mutable_event()->mutable_time()->set_seconds(
      static_cast<int64_t>(sequence));
  return event;
}

class EventStreamTest : public testing::Test {
 protected:
  EventStream::Options Options() {
    EventStream::Options options;
    options.source = "test";
    options.batch_events = 10;
    options.lanes = 3;
    options.sleep = [this](absl::Duration d) { slept_ += d; };
    return options;
  }

  absl::Status SendAll(EventStream& stream, uint64_t count) {
    for (uint64_t i = 1; i <= count; ++i) {
      if (absl::Status s = stream.Add({MakeEvent(i), i}); !s.ok()) return s;
    }
    return stream.Finish();
  }

  // Every event once, and each user's in order.
  void ExpectAll(uint64_t count) {
    EXPECT_EQ(server_.num_events(), count);
    for (int u = 0; u < kUsers; ++u) {
      uint64_t last = 0;
      for (const auto& e : server_.EventsOf(absl::StrCat("user", u))) {
        EXPECT_GT(e.sequence(), last);
        last = e.sequence();
      }
    }
  }

  FakeServer server_;
  Client client_{server_.address(), absl::Seconds(5)};
  absl::Duration slept_;
};

TEST_F(EventStreamTest, AppliesEveryEventOnceInOrder) {
  EventStream stream(client_, Options());
  ASSERT_TRUE(SendAll(stream, 1'003).ok());
  EXPECT_EQ(stream.totals().applied, 1'003U);
  ExpectAll(1'003);
}

TEST_F(EventStreamTest, AnEventWithoutAnOutcomeIsNotTakenForDurable) {
  server_.SetFaults({.untold = 1});
  EventStream stream(client_, Options());
  const absl::Status status = SendAll(stream, 100);
  EXPECT_TRUE(absl::IsInternal(status)) << status;
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("of 9 events that they are durable and of 0 that they "
                        "are refused, but 10 were sent"));
}

TEST_F(EventStreamTest, SendingAgainChangesNothing) {
  EventStream first(client_, Options());
  ASSERT_TRUE(SendAll(first, 200).ok());
  EventStream::Options options = Options();
  options.lanes = 5;  // how it is cut into batches does not matter
  options.batch_events = 7;
  EventStream second(client_, options);
  ASSERT_TRUE(SendAll(second, 200).ok());
  EXPECT_EQ(second.totals().applied, 0U);
  EXPECT_EQ(second.totals().duplicates, 200U);
  ExpectAll(200);
}

TEST_F(EventStreamTest, SendsAgainWhatABrokenStreamDidNotAcknowledge) {
  server_.SetFaults({.break_after_requests = 4, .breaks = 5});
  EventStream stream(client_, Options());
  ASSERT_TRUE(SendAll(stream, 500).ok());
  EXPECT_GT(stream.totals().resent_batches, 0U);
  // The batch whose acknowledgement was lost is counted as duplicates.
  EXPECT_EQ(stream.totals().acknowledged(), 500U);
  EXPECT_GT(stream.totals().duplicates, 0U);
  ExpectAll(500);
}

TEST_F(EventStreamTest, ARefusedBatchIsNotOvertakenByItsUsersLaterEvents) {
  server_.SetFaults({.refusals = 3});
  EventStream stream(client_, Options());
  ASSERT_TRUE(SendAll(stream, 500).ok());
  EXPECT_EQ(stream.totals().applied, 500U);
  EXPECT_GT(slept_, absl::ZeroDuration());
  ExpectAll(500);
}

TEST_F(EventStreamTest, ARefusedEventEndsItIfItShould) {
  EventStream::Options options = Options();
  options.stop_at_refused = true;
  EventStream stream(client_, options);
  ASSERT_TRUE(stream.Add({MakeEvent(1, FakeServer::kBadAction), 17}).ok());
  absl::Status status = stream.Finish();
  EXPECT_TRUE(absl::IsInvalidArgument(status));
  EXPECT_THAT(status.message(), testing::HasSubstr("events[0].event.action"));
  ASSERT_TRUE(stream.refused().has_value());
  EXPECT_EQ(stream.refused()->line, 17U);
}

TEST_F(EventStreamTest, GivesUpWhatIsRefusedAndKeepsTheOthersOfItsBatch) {
  std::vector<std::string> refused;
  EventStream::Options options = Options();
  options.on_refused = [&](const EventStream::Item& item, const absl::Status&) {
    refused.push_back(item.text);
    return absl::OkStatus();
  };
  EventStream stream(client_, options);
  for (uint64_t i = 1; i <= 300; ++i) {
    bool bad = i == 5 || i == 6 || i == 123;
    ASSERT_TRUE(stream
                    .Add({MakeEvent(i, bad ? FakeServer::kBadAction : "buy"),
                          i, absl::StrCat("row ", i)})
                    .ok());
  }
  ASSERT_TRUE(stream.Finish().ok());
  EXPECT_THAT(refused,
              testing::UnorderedElementsAre("row 5", "row 6", "row 123"));
  EXPECT_EQ(stream.totals().refused, 3U);
  EXPECT_EQ(stream.totals().resent_batches, 0U);
  EXPECT_EQ(slept_, absl::ZeroDuration());
  ExpectAll(297);
}

TEST_F(EventStreamTest, WhatOnRefusedReturnsEndsIt) {
  EventStream::Options options = Options();
  options.on_refused = [](const EventStream::Item&, const absl::Status&) {
    return absl::InvalidArgumentError("the disk is full");
  };
  EventStream stream(client_, options);
  ASSERT_TRUE(stream.Add({MakeEvent(1, FakeServer::kBadAction)}).ok());
  EXPECT_EQ(stream.Finish().message(), "the disk is full");
}

// Events behind one that was not written are held back: they come again in
// order, and none becomes a duplicate of its follower.
TEST_F(EventStreamTest, WhatWasNotWrittenIsSentAgainWithWhatItHeldBack) {
  server_.SetFaults({.unwritten = 4});
  EventStream stream(client_, Options());
  for (uint64_t i = 1; i <= 300; ++i) {
    ASSERT_TRUE(stream.Add({MakeEvent(i, i % 10 == 3 ? "slow" : "buy")}).ok());
  }
  ASSERT_TRUE(stream.Finish().ok());
  EXPECT_EQ(stream.totals().applied, 300U);
  EXPECT_EQ(stream.totals().duplicates, 0U);
  EXPECT_GT(stream.totals().resent_batches, 0U);
  EXPECT_GT(slept_, absl::ZeroDuration());
  ExpectAll(300);
}

// An event that ended an earlier run and is not in the file any more must not
// hold its followers back for ever.
TEST_F(EventStreamTest, WhatANotAnyMoreSentEventHoldsBackIsSentInTheEnd) {
  EventStream::Options options = Options();
  options.stop_at_refused = true;
  {
    EventStream stream(client_, options);
    ASSERT_TRUE(stream.Add({MakeEvent(7, FakeServer::kBadAction)}).ok());
    ASSERT_FALSE(stream.Finish().ok());
  }
  EventStream stream(client_, options);
  ASSERT_TRUE(stream.Add({MakeEvent(14)}).ok());
  ASSERT_TRUE(stream.Add({MakeEvent(21)}).ok());
  ASSERT_TRUE(stream.Finish().ok());
  EXPECT_EQ(stream.totals().applied, 2U);
  ExpectAll(2);
}

TEST_F(EventStreamTest, GivesUpWhenNothingIsAcknowledged) {
  server_.Shutdown();
  EventStream::Options options = Options();
  options.retry_for = absl::Milliseconds(300);
  options.sleep = [](absl::Duration d) { absl::SleepFor(d); };
  EventStream stream(client_, options);
  EXPECT_TRUE(absl::IsUnavailable(SendAll(stream, 1)));
}

}  // namespace
}  // namespace qlarank
