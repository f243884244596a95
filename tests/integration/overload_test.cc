// What callers see of a server that has too much to do, or of calls that are
// given up wherever they are.
#include <sched.h>
#include <sys/resource.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <map>
#include <ostream>
#include <thread>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/time/clock.h"
#include "gmock/gmock.h"
#include "google/rpc/error_details.pb.h"
#include "gtest/gtest.h"
#include "tests/integration/other_host.h"
#include "tests/integration/test_server.h"
#include "tests/testing/requests.h"

namespace qlarank::testing {
namespace {

using grpc::StatusCode;

class OverloadTest : public ::testing::Test {
 protected:
  v1::RankRequest Request(size_t candidates) const {
    return MakeRank(*bundle_, "user", CatalogueItems(*bundle_, candidates));
  }

  // Until the server is idle again: no request holds a slot.
  ::testing::AssertionResult EverySlotIsFree(const TestServer& server) const {
    const absl::Time end = absl::Now() + absl::Seconds(20);
    while (server.Metric("qlarank_inflight_requests") > 0) {
      if (absl::Now() > end) {
        return ::testing::AssertionFailure()
               << server.Metric("qlarank_inflight_requests")
               << " slots are taken";
      }
      absl::SleepFor(absl::Milliseconds(5));
    }
    return ::testing::AssertionSuccess();
  }

  // An append as large as the queue finds room only when nothing is in it.
  absl::Status NothingIsQueued(TestServer& server, size_t max_queued) const {
    const absl::Time end = absl::Now() + absl::Seconds(20);
    absl::Status appended;
    do {
      appended =
          server.Append(MakeAppend(*bundle_, "other", 1, max_queued)).status();
    } while (!appended.ok() && absl::Now() < end);
    return appended;
  }

  const std::shared_ptr<const Bundle> bundle_ = LoadGolden(GoldenModel());
};

TEST_F(OverloadTest, ARefusalSaysWhenToTryAgain) {
  ServerOptions options = TestOptions();
  options.rank.max_inflight_requests = 1;
  TestServer server(options);
  const v1::RankRequest request = Request(20'000);
  std::atomic<bool> stop{false};
  std::thread busy([&] {
    while (!stop) server.Rank(request).IgnoreError();
  });
  grpc::Status status;
  std::unique_ptr<grpc::ClientContext> context;
  do {
    context = std::make_unique<grpc::ClientContext>();
    v1::RankResponse response;
    status = server.rank().Rank(context.get(), request, &response);
  } while (status.ok());
  stop = true;
  busy.join();
  ASSERT_EQ(status.error_code(), StatusCode::RESOURCE_EXHAUSTED);

  google::rpc::Status details;
  ASSERT_TRUE(details.ParseFromString(status.error_details()));
  EXPECT_EQ(details.code(), StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_EQ(details.message(), status.error_message());
  ASSERT_EQ(details.details_size(), 1);
  google::rpc::RetryInfo info;
  ASSERT_TRUE(details.details(0).UnpackTo(&info));
  const double delay_ms =
      info.retry_delay().seconds() * 1e3 + info.retry_delay().nanos() * 1e-6;
  EXPECT_GE(delay_ms, 5);
  EXPECT_LE(delay_ms, 1000);

  const auto& metadata = context->GetServerTrailingMetadata();
  const auto pushback = metadata.find("grpc-retry-pushback-ms");
  ASSERT_NE(pushback, metadata.end());
  int pushback_ms = 0;
  ASSERT_TRUE(absl::SimpleAtoi(
      absl::string_view(pushback->second.data(), pushback->second.size()),
      &pushback_ms));
  EXPECT_GE(pushback_ms, delay_ms);
  EXPECT_LT(pushback_ms, delay_ms + 1);
}

// A moment anywhere from before the call begins to after it has ended: queued,
// while the state is read, while candidates are scored, while the reply is
// encoded or sent. Whatever it is, the call ends as it should, and its slot is
// free again.
TEST_F(OverloadTest, ARankingMayBeGivenUpAtAnyMoment) {
  TestServer server(TestOptions());
  v1::RankRequest request = Request(8'000);
  request.set_top_k(8'000);  // something to encode
  const absl::Time begin = absl::Now();
  ASSERT_TRUE(server.Rank(request).ok());
  const absl::Duration whole = absl::Now() - begin;
  std::map<StatusCode, int> cancelled, late;
  constexpr int kMoments = 40;
  for (int moment = 0; moment < kMoments; ++moment) {
    const absl::Duration after = whole * 1.5 * moment / kMoments;
    {
      grpc::ClientContext context;
      std::thread canceller([&] {
        absl::SleepFor(after);
        context.TryCancel();
      });
      v1::RankResponse response;
      ++cancelled
          [server.rank().Rank(&context, request, &response).error_code()];
      canceller.join();
    }
    grpc::ClientContext context;
    context.set_deadline(absl::ToChronoTime(absl::Now() + after));
    v1::RankResponse response;
    ++late[server.rank().Rank(&context, request, &response).error_code()];
  }
  EXPECT_GT(cancelled[StatusCode::CANCELLED], 0);
  EXPECT_EQ(cancelled[StatusCode::CANCELLED] + cancelled[StatusCode::OK],
            kMoments);
  EXPECT_GT(late[StatusCode::DEADLINE_EXCEEDED], 0);
  // While the one before it is still at a tile, one may be refused.
  EXPECT_EQ(late[StatusCode::DEADLINE_EXCEEDED] + late[StatusCode::OK] +
                late[StatusCode::RESOURCE_EXHAUSTED],
            kMoments);
  EXPECT_TRUE(EverySlotIsFree(server));
  EXPECT_EQ(server.Metric("qlarank_queue_depth"), 0);
  EXPECT_TRUE(server.Rank(request).ok());
}

// The same for a stream. What was not acknowledged is sent again, and counts
// once.
TEST_F(OverloadTest, AStreamMayBeGivenUpAtAnyMoment) {
  ServerOptions options = TestOptions();
  options.ingest.shards = 1;
  options.ingest.max_queued_events = options.limits.max_events_per_append;
  TestServer server(options);
  constexpr uint64_t kBatch = 50;
  constexpr int kMoments = 40;
  uint64_t acknowledged = 0;  // events of the user, in order
  uint64_t most = 0;          // that were ever sent
  for (int moment = 0; moment < 2 * kMoments; ++moment) {
    const absl::Duration after = absl::Microseconds(100) * (moment / 2);
    const bool by_deadline = moment % 2;
    grpc::ClientContext context;
    if (by_deadline) {
      context.set_deadline(absl::ToChronoTime(absl::Now() + after));
    }
    const auto stream = server.ingest().StreamEvents(&context);
    std::thread canceller([&] {
      absl::SleepFor(after);
      if (!by_deadline) context.TryCancel();
    });
    std::thread writer([&] {
      v1::StreamEventsRequest request;
      for (uint64_t n = acknowledged + 1; n < acknowledged + 1000;
           n += kBatch) {
        *request.mutable_append() =
            MakeAppend(*bundle_, "user", n, n + kBatch - 1);
        if (!stream->Write(request)) break;
        most = std::max(most, n + kBatch - 1);
      }
    });
    v1::StreamEventsResponse response;
    uint64_t read = 0;
    while (stream->Read(&response)) {
      if (response.error_code() == 0) read += kBatch;
    }
    writer.join();
    canceller.join();
    acknowledged += read;
    EXPECT_EQ(stream->Finish().error_code(), by_deadline
                                                 ? StatusCode::DEADLINE_EXCEEDED
                                                 : StatusCode::CANCELLED);
  }
  EXPECT_EQ(NothingIsQueued(server, options.ingest.max_queued_events),
            absl::OkStatus());

  ASSERT_LE(acknowledged, most);
  const uint64_t all = std::max(most, uint64_t{5000}) + 1;
  for (uint64_t n = acknowledged + 1; n <= all; n += 1000) {
    ASSERT_TRUE(
        server.Append(MakeAppend(*bundle_, "user", n, std::min(n + 999, all)))
            .ok());
  }
  const auto state = server.GetState("user", all);
  ASSERT_TRUE(state.ok()) << state.status();
  EXPECT_EQ(state->state().event_count(), all);
}

// A flood from one host leaves half of the server to another. In one queue,
// each would wait as long as the other.
TEST_F(OverloadTest, AFloodFromOneHostDoesNotStarveAnother) {
  constexpr size_t kFlood = 12;
  // So that requests wait for the worker, and for long beside the milliseconds
  // that any thread may wait for a processor.
  ServerOptions options = TestOptions();
  options.rank.workers = 1;
  TestServer server(options);
  const v1::RankRequest request = Request(5'000);
  ASSERT_TRUE(server.Rank(Request(1)).ok());  // is connected
  const auto other_host =
      v1::RankService::NewStub(ConnectFromOtherHost(server.grpc_port()));
  std::atomic<bool> stop{false};
  std::atomic<size_t> answered{0};
  std::vector<std::vector<absl::Duration>> waited(kFlood);
  std::vector<std::thread> flood;
  for (size_t i = 0; i < kFlood; ++i) {
    flood.emplace_back([&, i] {
      while (!stop) {
        const absl::Time begin = absl::Now();
        grpc::ClientContext context;
        v1::RankResponse response;
        if (!other_host->Rank(&context, request, &response).ok()) continue;
        // The first find a shorter queue.
        if (answered++ < kFlood) continue;
        waited[i].push_back(absl::Now() - begin);
      }
    });
  }
  while (answered < kFlood) absl::SleepFor(absl::Milliseconds(1));
  std::vector<absl::Duration> own;
  for (int i = 0; i < 5; ++i) {
    const absl::Time begin = absl::Now();
    const auto response = server.Rank(request);
    EXPECT_TRUE(response.ok()) << response.status();
    own.push_back(absl::Now() - begin);
  }
  stop = true;
  for (std::thread& thread : flood) thread.join();
  std::vector<absl::Duration> others;
  for (const auto& times : waited) {
    others.insert(others.end(), times.begin(), times.end());
  }
  const auto median = [](std::vector<absl::Duration>& times) {
    std::nth_element(times.begin(), times.begin() + times.size() / 2,
                     times.end());
    return times[times.size() / 2];
  };
  EXPECT_LT(median(own), median(others) / 2);
}

// How a thread is scheduled beside those of other processes.
struct Scheduling {
  int policy = 0;
  int niceness = 0;

  bool operator==(const Scheduling&) const = default;
  friend void PrintTo(const Scheduling& self, std::ostream* out) {
    *out << "policy " << self.policy << ", niceness " << self.niceness;
  }
};

Scheduling SchedulingOf(pid_t thread) {
  return {sched_getscheduler(thread), getpriority(PRIO_PROCESS, thread)};
}

// Of every thread of this process, in which the server runs.
std::vector<Scheduling> SchedulingOfThreads() {
  std::vector<Scheduling> found;
  for (const auto& task :
       std::filesystem::directory_iterator("/proc/self/task")) {
    pid_t thread = 0;
    if (!absl::SimpleAtoi(task.path().filename().string(), &thread)) continue;
    const Scheduling scheduling = SchedulingOf(thread);
    if (scheduling.policy >= 0) found.push_back(scheduling);  // not gone since
  }
  return found;
}

// What the server does in its own house costs it nothing beside others: no
// thread is ever scheduled otherwise than the one that started it; idle,
// ranking, folding, or refusing.
TEST_F(OverloadTest, NoThreadsPriorityIsChanged) {
  const Scheduling own = SchedulingOf(gettid());
  ServerOptions options = TestOptions();
  options.rank.max_inflight_requests = 1;
  TestServer server(options);
  EXPECT_THAT(SchedulingOfThreads(), ::testing::Each(own));
  std::atomic<bool> stop{false};
  std::atomic<int> refused{0}, appended{0};
  std::vector<std::thread> load;
  for (int i = 0; i < 4; ++i) {
    load.emplace_back([&] {
      const v1::RankRequest request = Request(5'000);
      while (!stop) {
        refused += absl::IsResourceExhausted(server.Rank(request).status());
      }
    });
  }
  load.emplace_back([&] {
    for (int n = 1; !stop; ++n) {
      appended += server.Append(MakeAppend(*bundle_, "user", n, n)).ok();
    }
  });
  const absl::Time end = absl::Now() + absl::Seconds(60);
  while ((refused < 50 || appended < 50) && absl::Now() < end) {
    EXPECT_THAT(SchedulingOfThreads(), ::testing::Each(own));
    absl::SleepFor(absl::Milliseconds(10));
  }
  EXPECT_GE(refused, 50);
  EXPECT_GE(appended, 50);
  stop = true;
  for (std::thread& thread : load) thread.join();
}

}  // namespace
}  // namespace qlarank::testing
