// A wall clock that jumps, by hours or by a year, back and forth, under a server:
// right events are taken and ordered as they come, states and snapshots are
// folds of the log, requests are admitted.
#include <time.h>

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "absl/time/clock.h"
#include "gmock/gmock.h"
#include "grpcpp/client_context.h"
#include "gtest/gtest.h"
#include "server/work/proto_time.h"
#include "tests/durability/acknowledged_users.h"
#include "tests/testing/temp_dir.h"

namespace {

std::atomic<int64_t> jump_seconds = 0;
// As if it were set between any two readings, and back.
std::atomic<bool> jumps_at_every_reading = false;
std::atomic<uint64_t> readings = 0;

absl::Time TrueNow() {
  timespec now = {};
  clock_gettime(CLOCK_REALTIME, &now);
  return absl::TimeFromTimespec(now);
}

}  // namespace

// Takes the place of Abseil's for the whole process: the clock of the server.
namespace absl {
ABSL_NAMESPACE_BEGIN
Time Now() {
  if (jumps_at_every_reading && readings++ % 2 == 0) return TrueNow();
  return TrueNow() + Seconds(jump_seconds.load());
}
ABSL_NAMESPACE_END
}  // namespace absl

namespace qlarank::testing {
namespace {

using ::testing::HasSubstr;

constexpr int kUsers = 3;
constexpr int64_t kHour = 3600;
constexpr int64_t kYear = 365 * 24 * kHour;

std::string UserName(int user) { return absl::StrCat("user", user); }

class ClockJumpTest : public ::testing::Test {
 protected:
  ClockJumpTest() {
    options_.store.engine = StoreEngine::kRocksDb;
    options_.store.path = dir_.Path("store");
    options_.store.snapshot_interval_events = 4;
  }
  ~ClockJumpTest() override {
    jump_seconds = 0;
    jumps_at_every_reading = false;
  }

  // Five events of each user, each of which happens now.
  grpc::Status AppendNow(TestServer& server, absl::Duration ahead = {}) {
    v1::AppendEventsRequest request;
    request.set_source("test");
    for (int user = 0; user < kUsers; ++user) {
      for (uint64_t n = appended_ + 1; n <= appended_ + 5; ++n) {
        AddEvent(*bundle_, UserName(user), n, request);
        *request.mutable_events(request.events_size() - 1)
             ->mutable_event()
             ->mutable_time() =
            FromMicros(absl::ToUnixMicros(TrueNow() + ahead) + int64_t(n));
      }
    }
    grpc::ClientContext context;
    v1::AppendEventsResponse response;
    const grpc::Status status =
        server.ingest().AppendEvents(&context, request, &response);
    if (status.ok()) {
      EXPECT_EQ(response.applied(), 5 * kUsers);
      appended_ += 5;
    }
    return status;
  }

  // Scores from all events, by a request that has no time of its own.
  void ExpectRanked(TestServer& server) {
    for (int user = 0; user < kUsers; ++user) {
      v1::RankRequest request =
          MakeRank(*bundle_, UserName(user), CatalogueItems(*bundle_, 200));
      request.clear_request_time();
      request.set_min_event_count(appended_);
      grpc::ClientContext context;
      v1::RankResponse response;
      const grpc::Status status =
          server.rank().Rank(&context, request, &response);
      ASSERT_TRUE(status.ok()) << status.error_message();
      EXPECT_EQ(response.state().event_count(), appended_);
      EXPECT_EQ(response.scored_fraction(), 1);
    }
  }

  // Every log is in the order of arrival, every state a fold of it.
  void ExpectOrdered() {
    RocksDbOptions options;
    options.path = options_.store.path;
    const auto store = OpenRocksDbStateStore(options);
    ASSERT_TRUE(store.ok()) << store.status();
    const auto engine = Engine::Create(bundle_);
    for (int user = 0; user < kUsers; ++user) {
      const auto log = (*store)->ReadEvents(UserName(user), 1, SIZE_MAX);
      ASSERT_TRUE(log.ok()) << log.status();
      ASSERT_EQ(log->size(), appended_);
      for (uint64_t n = 1; n <= log->size(); ++n) {
        EXPECT_EQ((*log)[n - 1].source_sequence, n);
      }
      const auto snapshot = (*store)->GetSnapshot(
          (*engine)->state_fingerprint(), UserName(user));
      ASSERT_TRUE(snapshot.ok() && snapshot->has_value());
      EXPECT_EQ((*snapshot)->folded_sequence, appended_);
      const auto fold = FreshFold(**engine, **store, UserName(user));
      ASSERT_TRUE(fold.ok()) << fold.status();
      EXPECT_TRUE(*fold == (*snapshot)->state);
    }
  }

  TempDir dir_;
  ServerOptions options_ = TestOptions();
  const std::shared_ptr<const Bundle> bundle_ = LoadGolden(GoldenModel());
  uint64_t appended_ = 0;  // of each user
};

TEST_F(ClockJumpTest, HarmsNeitherAdmissionNorOrderNorStates) {
  {
    TestServer server(options_);
    for (const int64_t jump :
         {int64_t{0}, kHour, -kHour, int64_t{0}, -kYear, kYear, -2 * kYear,
          int64_t{0}, 3 * kYear, int64_t{0}}) {
      SCOPED_TRACE(absl::StrCat("clock off by ", jump, " s"));
      jump_seconds = jump;
      const grpc::Status status = AppendNow(server);
      ASSERT_TRUE(status.ok()) << status.error_message();
      ASSERT_NO_FATAL_FAILURE(ExpectRanked(server));
    }
    ASSERT_TRUE(server.Shutdown().ok());
  }
  ASSERT_NO_FATAL_FAILURE(ExpectOrdered());
  // Snapshots of the future are as good as any.
  jump_seconds = -kYear;
  TestServer server(options_);
  ASSERT_NO_FATAL_FAILURE(ExpectRanked(server));
}

TEST_F(ClockJumpTest, EventsOfTheFutureAreRefusedAllTheSame) {
  TestServer server(options_);
  ASSERT_TRUE(AppendNow(server).ok());
  for (const int64_t jump : {int64_t{0}, -kHour, -kYear}) {
    jump_seconds = jump;
    const grpc::Status status = AppendNow(server, absl::Hours(25));
    EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
    EXPECT_THAT(status.error_message(), HasSubstr("ahead of the server's"));
    EXPECT_TRUE(AppendNow(server, absl::Hours(23)).ok());
  }
}

// By such a clock everybody has been idle for years.
TEST_F(ClockJumpTest, NobodyIsErasedByAWrongClock) {
  options_.retention.idle_user_ttl = absl::Hours(24);
  options_.retention.sweep_interval = absl::Milliseconds(10);
  TestServer server(options_);
  ASSERT_TRUE(AppendNow(server).ok());
  const auto erased = [&] {
    return server.Metric("qlarank_retention_idle_users_erased_total");
  };
  const auto sweeps_refused = [&] {
    return server.Metric("qlarank_retention_failures_total");
  };
  jump_seconds = 3 * kYear;
  for (const bool back_and_forth : {false, true}) {
    jumps_at_every_reading = back_and_forth;
    const double target = sweeps_refused() + 10;
    const absl::Time end = TrueNow() + absl::Seconds(30);
    while (sweeps_refused() < target && erased() == 0 && TrueNow() < end) {
      absl::SleepFor(absl::Milliseconds(5));
    }
    EXPECT_GE(sweeps_refused(), target);
    EXPECT_EQ(erased(), 0);
  }
  jumps_at_every_reading = false;
  ASSERT_NO_FATAL_FAILURE(ExpectRanked(server));
}

}  // namespace
}  // namespace qlarank::testing
