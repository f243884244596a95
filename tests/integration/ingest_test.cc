#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/time/clock.h"
#include "gmock/gmock.h"
#include "grpcpp/client_context.h"
#include "gtest/gtest.h"
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
