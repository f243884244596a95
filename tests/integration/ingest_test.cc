#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "gmock/gmock.h"
#include "google/rpc/error_details.pb.h"
#include "grpcpp/client_context.h"
#include "gtest/gtest.h"
#include "tests/integration/other_host.h"
#include "tests/integration/test_server.h"
#include "tests/testing/requests.h"

namespace qlarank::testing {
namespace {

using ::testing::AnyOf;
using ::testing::StartsWith;

class IngestTest : public ::testing::Test {
 protected:
  const std::shared_ptr<const Bundle> bundle_ = LoadGolden(GoldenModel());
  TestServer server_{TestOptions()};
};

TEST_F(IngestTest, DuplicatesAreAcknowledgedAndNotApplied) {
  const auto first = server_.Append(MakeAppend(*bundle_, "user", 1, 5));
  ASSERT_TRUE(first.ok()) << first.status();
  EXPECT_EQ(first->applied(), 5);
  EXPECT_EQ(first->duplicates(), 0);
  const auto again = server_.Append(MakeAppend(*bundle_, "user", 3, 7));
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again->applied(), 2);
  EXPECT_EQ(again->duplicates(), 3);
  const auto state = server_.GetState("user", 7);
  ASSERT_TRUE(state.ok()) << state.status();
  EXPECT_EQ(state->state().event_count(), 7);
  EXPECT_EQ(state->watermarks().at("test"), 7);
}

TEST_F(IngestTest, SequencesGoingBackwardsWithinARequestAreDuplicates) {
  v1::AppendEventsRequest request = MakeAppend(*bundle_, "user", 1, 3);
  AddEvent(*bundle_, "user", 2, request);
  AddEvent(*bundle_, "other", 2, request);
  const auto response = server_.Append(request);
  ASSERT_TRUE(response.ok()) << response.status();
  EXPECT_EQ(response->applied(), 4);
  EXPECT_EQ(response->duplicates(), 1);
}

TEST_F(IngestTest, SourcesCountApart) {
  for (const char* source : {"a", "b"}) {
    const auto response =
        server_.Append(MakeAppend(*bundle_, "user", 1, 4, source));
    ASSERT_TRUE(response.ok()) << response.status();
    EXPECT_EQ(response->applied(), 4);
  }
  EXPECT_EQ(server_.GetState("user", 8)->state().event_count(), 8);
}

TEST_F(IngestTest, ARequestMayBeEmpty) {
  v1::AppendEventsRequest request;
  request.set_source("test");
  const auto response = server_.Append(request);
  ASSERT_TRUE(response.ok()) << response.status();
  EXPECT_EQ(response->applied(), 0);
}

TEST_F(IngestTest, EventsOlderThanTheNewestAreAppliedInTheOrderOfArrival) {
  v1::AppendEventsRequest request;
  request.set_source("test");
  AddEvent(*bundle_, "user", 5, request);
  AddEvent(*bundle_, "user", 1, request);
  request.mutable_events(1)->set_sequence(6);
  const auto response = server_.Append(request);
  ASSERT_TRUE(response.ok()) << response.status();
  EXPECT_EQ(response->applied(), 2);
  const auto state = server_.GetState("user", 2);
  ASSERT_TRUE(state.ok()) << state.status();
  // The newest by the clock, not by the log.
  EXPECT_EQ(state->state().last_event_time().seconds(),
            request.events(0).event().time().seconds());
}

// Many clients repeat the same batches: each event counts once.
TEST_F(IngestTest, ConcurrentRetriesApplyOnce) {
  constexpr int kUsers = 10;
  constexpr uint64_t kEvents = 40;
  std::atomic<uint64_t> applied{0}, duplicates{0};
  std::vector<std::thread> clients;
  for (int client = 0; client < 4; ++client) {
    clients.emplace_back([&] {
      for (uint64_t n = 1; n <= kEvents; n += 4) {
        v1::AppendEventsRequest request;
        request.set_source("test");
        for (int user = 0; user < kUsers; ++user) {
          for (uint64_t k = n; k < n + 4; ++k) {
            AddEvent(*bundle_, "user" + std::to_string(user), k, request);
          }
        }
        const auto response = server_.Append(request);
        ASSERT_TRUE(response.ok()) << response.status();
        applied += response->applied();
        duplicates += response->duplicates();
      }
    });
  }
  for (std::thread& client : clients) client.join();
  EXPECT_EQ(applied, kUsers * kEvents);
  EXPECT_EQ(duplicates, 3 * kUsers * kEvents);
  for (int user = 0; user < kUsers; ++user) {
    const auto state = server_.GetState("user" + std::to_string(user), kEvents);
    ASSERT_TRUE(state.ok()) << state.status();
    EXPECT_EQ(state->state().event_count(), kEvents);
  }
}

TEST_F(IngestTest, AStreamAnswersInOrderAndSurvivesARefusal) {
  grpc::ClientContext context;
  const auto stream = server_.ingest().StreamEvents(&context);
  constexpr uint64_t kBatches = 200;
  std::thread writer([&] {
    for (uint64_t n = 1; n <= kBatches; ++n) {
      v1::StreamEventsRequest request;
      request.set_batch_id(1000 + n);
      *request.mutable_append() =
          MakeAppend(*bundle_, "user" + std::to_string(n % 7), n, n);
      request.mutable_append()->set_give_up_refused(true);
      if (n % 50 == 0)
        request.mutable_append()->mutable_events(0)->clear_event();
      ASSERT_TRUE(stream->Write(request));
    }
    stream->WritesDone();
  });
  v1::StreamEventsResponse response;
  uint64_t applied = 0;
  for (uint64_t n = 1; n <= kBatches; ++n) {
    ASSERT_TRUE(stream->Read(&response));
    EXPECT_EQ(response.batch_id(), 1000 + n);
    applied += response.result().applied();
    if (n % 50 == 0) {
      EXPECT_EQ(response.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
      EXPECT_THAT(response.error_message(), StartsWith("events[0].event: "));
    } else {
      EXPECT_EQ(response.error_code(), 0) << response.error_message();
    }
  }
  EXPECT_FALSE(stream->Read(&response));
  writer.join();
  EXPECT_TRUE(stream->Finish().ok());
  EXPECT_EQ(applied, kBatches - kBatches / 50);
}

// What was acknowledged is read by a request that follows.
TEST_F(IngestTest, AnAcknowledgedBatchIsThere) {
  grpc::ClientContext context;
  const auto stream = server_.ingest().StreamEvents(&context);
  v1::StreamEventsRequest request;
  v1::StreamEventsResponse response;
  for (uint64_t n = 1; n <= 30; ++n) {
    *request.mutable_append() = MakeAppend(*bundle_, "user", n, n);
    ASSERT_TRUE(stream->Write(request));
    ASSERT_TRUE(stream->Read(&response));
    ASSERT_EQ(response.error_code(), 0);
    ASSERT_EQ(server_.GetState("user", n)->state().event_count(), n);
  }
  stream->WritesDone();
  EXPECT_TRUE(stream->Finish().ok());
}

TEST_F(IngestTest, AClientThatGoesAwayLeavesNothingBehind) {
  for (int round = 0; round < 20; ++round) {
    grpc::ClientContext context;
    const auto stream = server_.ingest().StreamEvents(&context);
    v1::StreamEventsRequest request;
    *request.mutable_append() = MakeAppend(*bundle_, "user", 1, 100);
    stream->Write(request);
    context.TryCancel();
    EXPECT_EQ(stream->Finish().error_code(), grpc::StatusCode::CANCELLED);
  }
}

// An open stream must not hold a shutdown up.
TEST_F(IngestTest, AStreamEndsWhenTheServerDrains) {
  grpc::ClientContext context;
  const auto stream = server_.ingest().StreamEvents(&context);
  v1::StreamEventsRequest request;
  v1::StreamEventsResponse response;
  *request.mutable_append() = MakeAppend(*bundle_, "user", 1, 3);
  ASSERT_TRUE(stream->Write(request));
  ASSERT_TRUE(stream->Read(&response));
  const absl::Time begin = absl::Now();
  EXPECT_TRUE(server_.Shutdown().ok());
  EXPECT_LT(absl::Now() - begin, absl::Seconds(10));
  EXPECT_FALSE(stream->Read(&response));
  EXPECT_EQ(stream->Finish().error_code(), grpc::StatusCode::UNAVAILABLE);
}

// A batch that arrives while the server drains is answered or not taken at all,
// never left behind by a stream that is gone.
TEST(IngestDrainTest, DrainingUnderLoadIsOrderly) {
  const auto bundle = LoadGolden(GoldenModel());
  for (int round = 0; round < 15; ++round) {
    TestServer server(TestOptions());
    std::vector<std::thread> clients;
    for (int client = 0; client < 6; ++client) {
      clients.emplace_back([&, client] {
        grpc::ClientContext context;
        const auto stream = server.ingest().StreamEvents(&context);
        const std::string user = "user" + std::to_string(client);
        v1::StreamEventsRequest request;
        std::thread reader([&] {
          v1::StreamEventsResponse response;
          while (stream->Read(&response)) {
            EXPECT_EQ(response.error_code(), 0) << response.error_message();
          }
        });
        for (uint64_t n = 1;; ++n) {
          *request.mutable_append() = MakeAppend(*bundle, user, n, n);
          if (!stream->Write(request)) break;
        }
        reader.join();
        // A call that reaches a connection while gRPC closes it is dropped
        // before any handler, as CANCELLED (docs/operations.md, "Stopping").
        EXPECT_THAT(stream->Finish().error_code(),
                    AnyOf(grpc::StatusCode::UNAVAILABLE,
                          grpc::StatusCode::CANCELLED));
      });
    }
    absl::SleepFor(absl::Milliseconds(20));
    EXPECT_TRUE(server.Shutdown().ok());
    for (std::thread& client : clients) client.join();
  }
}

// -- Outcomes ----------------------------------------------------------------

google::rpc::ErrorInfo InfoOf(const google::rpc::Status& status) {
  google::rpc::ErrorInfo info;
  for (const auto& detail : status.details()) detail.UnpackTo(&info);
  return info;
}

TEST_F(IngestTest, ACallThatTakesNothingFailsWithAllThatIsWrong) {
  v1::AppendEventsRequest request = MakeAppend(*bundle_, "user", 1, 2);
  request.mutable_events(0)->mutable_event()->set_action("eat");
  request.mutable_events(1)->set_sequence(0);
  grpc::ClientContext context;
  v1::AppendEventsResponse response;
  const grpc::Status status =
      server_.ingest().AppendEvents(&context, request, &response);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(status.error_message(),
              StartsWith("events[0].event.action: \"eat\"; "));
  google::rpc::Status details;
  ASSERT_TRUE(details.ParseFromString(status.error_details()));
  EXPECT_EQ(details.code(), grpc::StatusCode::INVALID_ARGUMENT);
  google::rpc::BadRequest bad;
  for (const auto& detail : details.details()) detail.UnpackTo(&bad);
  ASSERT_EQ(bad.field_violations_size(), 2);
  EXPECT_EQ(bad.field_violations(0).field(), "events[0].event.action");
  EXPECT_EQ(bad.field_violations(1).field(), "events[1].sequence");
  EXPECT_EQ(InfoOf(details).reason(), "INVALID_EVENT");
  EXPECT_EQ(InfoOf(details).domain(), "qlarank");
}

// However many are refused, the status fits into the trailing metadata.
TEST_F(IngestTest, ThousandsOfRefusalsReachTheClient) {
  v1::AppendEventsRequest request = MakeAppend(*bundle_, "user", 1, 10'000);
  for (v1::UserEvent& event : *request.mutable_events()) {
    event.mutable_event()->set_action(std::string(100, '\n'));
  }
  const absl::Status status = server_.Append(request).status();
  EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
  AddEvent(*bundle_, "other", 1, request);  // which is taken
  request.mutable_events()->SwapElements(0, 10'000);
  request.mutable_events()->RemoveLast();
  const auto response = server_.Append(request);
  ASSERT_TRUE(response.ok()) << response.status();
  EXPECT_EQ(response->applied(), 1);
  ASSERT_EQ(response->refusals_size(), 9'999);
  EXPECT_EQ(InfoOf(response->refusals(9'998).status()).reason(),
            "INVALID_EVENT");
}

// Refused, and those behind it: in a stream, too, where it is told of what.
TEST_F(IngestTest, AStreamSaysWhatBecameOfEveryEvent) {
  grpc::ClientContext context;
  const auto stream = server_.ingest().StreamEvents(&context);
  std::vector<v1::StreamEventsRequest> batches(3);
  *batches[0].mutable_append() = MakeAppend(*bundle_, "user", 1, 2);
  *batches[1].mutable_append() = MakeAppend(*bundle_, "user", 3, 4);
  batches[1].mutable_append()->mutable_events(0)->clear_event();
  *batches[2].mutable_append() = MakeAppend(*bundle_, "user", 5, 6);
  AddEvent(*bundle_, "other", 1, *batches[2].mutable_append());
  for (const auto& batch : batches) ASSERT_TRUE(stream->Write(batch));
  std::vector<v1::StreamEventsResponse> responses(3);
  for (auto& response : responses) ASSERT_TRUE(stream->Read(&response));
  EXPECT_EQ(responses[0].result().applied(), 2);
  EXPECT_TRUE(responses[0].result().outcomes().empty());
  EXPECT_EQ(responses[1].error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  ASSERT_EQ(responses[1].result().refusals_size(), 2);
  EXPECT_EQ(InfoOf(responses[1].result().refusals(1).status()).reason(),
            "HELD_BACK");
  EXPECT_EQ(responses[2].error_code(), 0);
  EXPECT_EQ(responses[2].result().applied(), 1);
  ASSERT_EQ(responses[2].result().refusals_size(), 2);
  const auto held = InfoOf(responses[2].result().refusals(0).status());
  EXPECT_EQ(held.reason(), "HELD_BACK");
  EXPECT_EQ(held.metadata().at("sequence"), "3");
  // Sent again, all of them are there.
  v1::StreamEventsRequest again;
  *again.mutable_append() = MakeAppend(*bundle_, "user", 3, 6);
  ASSERT_TRUE(stream->Write(again));
  ASSERT_TRUE(stream->Read(&responses[0]));
  EXPECT_EQ(responses[0].result().applied(), 4);
  stream->WritesDone();
  EXPECT_TRUE(stream->Finish().ok());
  EXPECT_EQ(server_.GetState("user", 6)->state().log_sequence(), 6);
}

TEST_F(IngestTest, ASourceIsMarkedAndAsked) {
  ASSERT_TRUE(server_.Append(MakeAppend(*bundle_, "user", 1, 3, "day-1")).ok());
  v1::MarkSourceRequest mark;
  mark.set_source("day-1");
  mark.set_complete_through(3);
  mark.set_note("digest");
  v1::MarkSourceResponse marked;
  {
    grpc::ClientContext context;
    const grpc::Status status =
        server_.ingest().MarkSource(&context, mark, &marked);
    ASSERT_TRUE(status.ok()) << status.error_message();
    EXPECT_EQ(marked.complete_through(), 3);
  }
  v1::GetSourceRequest get;
  get.set_source("day-1");
  v1::GetSourceResponse got;
  {
    grpc::ClientContext context;
    ASSERT_TRUE(server_.ingest().GetSource(&context, get, &got).ok());
    EXPECT_TRUE(got.found());
    EXPECT_EQ(got.complete_through(), 3);
    EXPECT_EQ(got.note(), "digest");
  }
  get.set_source("day-2");
  {
    grpc::ClientContext context;
    ASSERT_TRUE(server_.ingest().GetSource(&context, get, &got).ok());
    EXPECT_FALSE(got.found());
  }
  mark.set_complete_through(uint64_t{1} << 63);
  {
    grpc::ClientContext context;
    const grpc::Status status =
        server_.ingest().MarkSource(&context, mark, &marked);
    EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
    EXPECT_THAT(status.error_message(), StartsWith("complete_through: "));
  }
  EXPECT_EQ(server_.Append(MakeAppend(*bundle_, "other", 1, 3, "day-1"))
                ->duplicates(),
            3);
  EXPECT_EQ(server_.Metric("qlarank_ingest_source_marks"), 1);
}

// Streams of one client, as many as it likes, leave room for others: none of
// their appends and erasures is refused.
TEST(IngestQueueTest, StreamsOfOneClientLeaveOthersTheirShare) {
  ServerOptions options = TestOptions();
  options.ingest.shards = 1;
  options.ingest.max_queued_events = 4'000;
  options.ingest.max_group_events = 500;
  TestServer server(options);
  const auto bundle = LoadGolden(GoldenModel());
  const auto other_host = v1::IngestService::NewStub(
      ConnectFromOtherHost(server.grpc_port()));
  std::atomic<bool> stop{false};
  std::atomic<uint64_t> acknowledged{0};
  std::vector<std::thread> streams;
  for (int i = 0; i < 6; ++i) {
    streams.emplace_back([&, i] {
      grpc::ClientContext context;
      const auto stream = other_host->StreamEvents(&context);
      std::thread reader([&] {
        v1::StreamEventsResponse response;
        while (stream->Read(&response)) {
          EXPECT_EQ(response.error_code(), 0) << response.error_message();
          ++acknowledged;
        }
      });
      v1::StreamEventsRequest batch;
      *batch.mutable_append() =
          MakeAppend(*bundle, absl::StrCat("flood", i), 1, 3'000);
      while (!stop && stream->Write(batch)) {
      }
      stream->WritesDone();
      reader.join();
      EXPECT_TRUE(stream->Finish().ok());
    });
  }
  while (acknowledged < 20) absl::SleepFor(absl::Milliseconds(1));
  for (uint64_t n = 1; n <= 50; ++n) {
    const auto appended = server.Append(MakeAppend(*bundle, "user", n, n));
    EXPECT_TRUE(appended.ok()) << appended.status();
    const auto erased = server.Delete("user");
    EXPECT_TRUE(erased.ok()) << erased.status();
  }
  stop = true;
  for (std::thread& stream : streams) stream.join();
}

// While the queue is full nothing is read: with room for one event, none waits
// for another's commit, so that none shares it.
TEST(IngestQueueTest, AStreamIsNotReadFromWhileTheQueueIsFull) {
  ServerOptions options = TestOptions();
  options.ingest.shards = 1;
  options.ingest.max_queued_events = 1;
  TestServer server(options);
  const auto bundle = LoadGolden(GoldenModel());
  constexpr uint64_t kBatches = 3000;
  grpc::ClientContext context;
  const auto stream = server.ingest().StreamEvents(&context);
  std::thread writer([&] {
    for (uint64_t n = 1; n <= kBatches; ++n) {
      v1::StreamEventsRequest request;
      *request.mutable_append() = MakeAppend(*bundle, "user", n, n);
      ASSERT_TRUE(stream->Write(request));
    }
    stream->WritesDone();
  });
  v1::StreamEventsResponse response;
  while (stream->Read(&response)) {
    EXPECT_EQ(response.result().applied(), 1) << response.error_message();
  }
  writer.join();
  EXPECT_TRUE(stream->Finish().ok());
  ASSERT_TRUE(server.Append(MakeAppend(*bundle, "user", 1, 1)).ok());
  EXPECT_EQ(server.Metric("qlarank_ingest_group_events_sum"), kBatches);
  EXPECT_EQ(server.Metric("qlarank_ingest_group_events_count"), kBatches);
}

TEST(IngestQueueTest, AFullQueueSlowsStreamsAndLosesNothing) {
  ServerOptions options = TestOptions();
  options.ingest.shards = 1;
  options.ingest.max_queued_events = 100;
  options.ingest.max_group_events = 10;
  TestServer server(options);
  const auto bundle = LoadGolden(GoldenModel());
  std::atomic<uint64_t> applied{0};
  std::vector<std::thread> clients;
  for (int client = 0; client < 4; ++client) {
    clients.emplace_back([&, client] {
      grpc::ClientContext context;
      const auto stream = server.ingest().StreamEvents(&context);
      const std::string user = "user" + std::to_string(client);
      std::thread writer([&] {
        for (uint64_t n = 1; n <= 2000; n += 50) {
          v1::StreamEventsRequest request;
          *request.mutable_append() = MakeAppend(*bundle, user, n, n + 49);
          ASSERT_TRUE(stream->Write(request));
        }
        stream->WritesDone();
      });
      v1::StreamEventsResponse response;
      while (stream->Read(&response)) {
        EXPECT_EQ(response.error_code(), 0) << response.error_message();
        applied += response.result().applied();
      }
      writer.join();
      EXPECT_TRUE(stream->Finish().ok());
    });
  }
  for (std::thread& client : clients) client.join();
  EXPECT_EQ(applied, 4 * 2000);
}

}  // namespace
}  // namespace qlarank::testing
