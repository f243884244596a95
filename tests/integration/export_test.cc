// Exports of events from a running server: whole, of one moment, gone on with
// after a kill, and read back into another server.
#include <algorithm>
#include <atomic>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "gmock/gmock.h"
#include "grpcpp/client_context.h"
#include "grpcpp/create_channel.h"
#include "gtest/gtest.h"
#include "tests/cli/run_cli.h"
#include "tests/integration/test_server.h"
#include "tests/testing/requests.h"
#include "tests/testing/temp_dir.h"

namespace qlarank::testing {
namespace {

using ::testing::HasSubstr;

constexpr size_t kExported = 40;  // users
// Of each: several messages in all, more than the transport takes unread.
constexpr uint64_t kOfEach = 1'000;

std::string NameOf(size_t user) { return absl::StrCat("user", user); }

std::string Contents(const std::string& path) {
  std::ifstream file(path);
  return std::string(std::istreambuf_iterator<char>(file), {});
}

// Events by user and sequence; a second one of the same fails the test.
using Events = std::map<std::string, std::map<uint64_t, std::string>>;

void Take(const v1::ExportEventsResponse& message, Events& events) {
  for (const v1::ExportedUser& user : message.users()) {
    for (const v1::ExportedEvent& event : user.events()) {
      const bool added =
          events[user.user_id()]
              .emplace(event.sequence(), event.event().SerializeAsString())
              .second;
      EXPECT_TRUE(added) << user.user_id() << " " << event.sequence();
    }
  }
}

class ExportTest : public ::testing::Test {
 protected:
  ExportTest() {
    options_.store.engine = StoreEngine::kRocksDb;
    options_.store.path = dir_.Path("store");
  }

  void Append(TestServer& server, const std::string& user, uint64_t first,
              uint64_t last) {
    const auto appended =
        server.Append(MakeAppend(*bundle_, user, first, last));
    ASSERT_TRUE(appended.ok()) << appended.status();
    ASSERT_EQ(appended->applied(), last - first + 1);
  }

  void Fill(TestServer& server) {
    for (size_t user = 0; user < kExported; ++user) {
      for (uint64_t first = 1; first <= kOfEach; first += 500) {
        Append(server, NameOf(user), first, first + 499);
      }
    }
  }

  // The first `count` events of a user, as they are exported.
  std::map<uint64_t, std::string> Sent(const std::string& user,
                                       uint64_t count) const {
    std::map<uint64_t, std::string> events;
    for (uint64_t n = 1; n <= count; ++n) {
      events[n] = MakeEvent(*bundle_, user, n).SerializeAsString();
    }
    return events;
  }

  void ExpectAll(const Events& events) const {
    ASSERT_EQ(events.size(), kExported);
    for (const auto& [user, found] : events) {
      EXPECT_EQ(found, Sent(user, kOfEach)) << user;
    }
  }

  // Takes at most `messages` of a call, and gives it up if there are more.
  static grpc::Status Call(TestServer& server, v1::ExportEventsRequest& request,
                           Events& events, int messages = 1'000'000) {
    grpc::ClientContext context;
    const auto stream = server.admin().ExportEvents(&context, request);
    v1::ExportEventsResponse message;
    for (; messages > 0 && stream->Read(&message); --messages) {
      Take(message, events);
      *request.mutable_position() = message.position();
    }
    if (messages == 0) context.TryCancel();
    return stream->Finish();
  }

  // Its client's transport takes little that nobody reads, and goes on so.
  static std::unique_ptr<v1::AdminService::Stub> SlowClient(
      TestServer& server) {
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_HTTP2_BDP_PROBE, 0);
    return v1::AdminService::NewStub(grpc::CreateCustomChannel(
        server.admin_address(), grpc::InsecureChannelCredentials(),
        arguments));
  }

  static void ExpectNoneRuns(TestServer& server) {
    const absl::Time deadline = absl::Now() + absl::Seconds(30);
    while (server.Metric("qlarank_exports_running") > 0) {
      ASSERT_LT(absl::Now(), deadline);
      absl::SleepFor(absl::Milliseconds(5));
    }
  }

  CliResult Cli(TestServer& server, std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(),
                     {"--admin-server", server.admin_address(), "--server",
                      absl::StrCat("127.0.0.1:", server.grpc_port())});
    return RunCli(arguments);
  }

  const TempDir dir_;
  ServerOptions options_ = TestOptions();
  const std::shared_ptr<const Bundle> bundle_ = LoadGolden(GoldenModel());
};

TEST_F(ExportTest, HoldsEveryEventAndNobodyWhoWasErased) {
  TestServer server(options_);
  Fill(server);
  Append(server, "erased", 1, 100);
  ASSERT_TRUE(server.Delete("erased").ok());
  v1::ExportEventsRequest request;
  Events events;
  const grpc::Status status = Call(server, request, events);
  ASSERT_TRUE(status.ok()) << status.error_message();
  ExpectAll(events);
  EXPECT_EQ(server.Metric("qlarank_exported_events_total"),
            kExported * kOfEach);
  ExpectNoneRuns(server);
}

TEST_F(ExportTest, HoldsAPrefixOfEveryLogThatGrows) {
  TestServer server(options_);
  Fill(server);
  std::atomic<bool> stop = false;
  std::atomic<uint64_t> last = kOfEach;
  std::thread source([&] {
    while (!stop) {
      for (size_t user = 0; user < kExported; ++user) {
        Append(server, NameOf(user), last + 1, last + 5);
      }
      last += 5;
    }
  });
  for (int round = 0; round < 3; ++round) {
    const uint64_t before = last;
    v1::ExportEventsRequest request;
    Events events;
    EXPECT_TRUE(Call(server, request, events).ok());
    EXPECT_EQ(events.size(), kExported);
    for (const auto& [user, found] : events) {
      EXPECT_GE(found.size(), before);
      EXPECT_EQ(found, Sent(user, found.size())) << user;
    }
  }
  stop = true;
  source.join();
}

TEST_F(ExportTest, GoesOnAfterItsClientWasKilled) {
  TestServer server(options_);
  Fill(server);
  v1::ExportEventsRequest request;
  Events events;
  int calls = 1;
  while (Call(server, request, events, 2).error_code() ==
         grpc::StatusCode::CANCELLED) {
    ++calls;
    ExpectNoneRuns(server);
  }
  EXPECT_GT(calls, 3);
  ExpectAll(events);
}

TEST_F(ExportTest, GoesOnAfterItsServerWentAway) {
  v1::ExportEventsRequest request;
  Events events;
  {
    TestServer server(options_);
    Fill(server);
    grpc::ClientContext context;
    const auto stub = SlowClient(server);
    const auto stream = stub->ExportEvents(&context, request);
    v1::ExportEventsResponse message;
    ASSERT_TRUE(stream->Read(&message));
    Take(message, events);
    *request.mutable_position() = message.position();
    std::thread stopping([&] { EXPECT_TRUE(server.Shutdown().ok()); });
    while (stream->Read(&message)) {
      Take(message, events);
      *request.mutable_position() = message.position();
    }
    EXPECT_EQ(stream->Finish().error_code(), grpc::StatusCode::UNAVAILABLE);
    stopping.join();
  }
  EXPECT_LT(events.size(), kExported);
  TestServer server(options_);
  ASSERT_TRUE(Call(server, request, events).ok());
  ExpectAll(events);
}

TEST_F(ExportTest, ReadsNoFurtherThanItsClientTakes) {
  TestServer server(options_);
  Fill(server);
  const auto stub = SlowClient(server);
  grpc::ClientContext slow;
  const auto stream = stub->ExportEvents(&slow, {});
  double before = -1;
  for (double now = 0; now != before || now == 0;) {
    before = now;
    absl::SleepFor(absl::Milliseconds(500));
    now = server.Metric("qlarank_exported_events_total");
  }
  EXPECT_LT(before, kExported * kOfEach);
  EXPECT_EQ(server.Metric("qlarank_exports_running"), 1);
  // And is in nobody's way: another one has a place, a third has not.
  grpc::ClientContext other;
  const auto second = stub->ExportEvents(&other, {});
  v1::ExportEventsResponse message;
  EXPECT_TRUE(second->Read(&message));
  v1::ExportEventsRequest request;
  Events events;
  EXPECT_EQ(Call(server, request, events).error_code(),
            grpc::StatusCode::RESOURCE_EXHAUSTED);
  slow.TryCancel();
  other.TryCancel();
  EXPECT_FALSE(stream->Finish().ok());
  EXPECT_FALSE(second->Finish().ok());
  ExpectNoneRuns(server);
}

TEST_F(ExportTest, CutsOffAClientWhoTakesNothing) {
  options_.rank.reply_timeout = absl::Milliseconds(300);
  TestServer server(options_);
  Fill(server);
  const auto stub = SlowClient(server);
  grpc::ClientContext context;
  const auto stream = stub->ExportEvents(&context, {});
  const absl::Time deadline = absl::Now() + absl::Seconds(30);
  while (server.Metric("qlarank_exported_events_total") == 0) {
    ASSERT_LT(absl::Now(), deadline);
  }
  ExpectNoneRuns(server);
  EXPECT_LT(server.Metric("qlarank_exported_events_total"),
            kExported * kOfEach);
}

TEST_F(ExportTest, IsReadBackIntoTheSameStatesAndTheSameExport) {
  const std::string first = dir_.Path("first.csv.gz");
  const std::string second = dir_.Path("second.csv.gz");
  std::vector<std::string> states;
  {
    TestServer server(options_);
    Fill(server);
    const CliResult result = Cli(server, {"export", "events", "--out", first});
    ASSERT_EQ(result.code, ExitCode::kOk) << result.err;
    EXPECT_THAT(result.err, HasSubstr("exported 40,000 events of 40 users"));
    for (size_t user = 0; user < kExported; ++user) {
      states.push_back(
          server.GetState(NameOf(user), kOfEach)->serialized_state());
    }
  }
  options_.store.path = dir_.Path("empty");
  TestServer server(options_);
  std::string features;
  for (const std::string& name : bundle_->spec().event_features()) {
    absl::StrAppend(&features, features.empty() ? "" : ",", name);
  }
  const CliResult imported =
      Cli(server, {"import", first, "--feature-columns", features});
  ASSERT_EQ(imported.code, ExitCode::kOk) << imported.err;
  for (size_t user = 0; user < kExported; ++user) {
    EXPECT_EQ(server.GetState(NameOf(user), kOfEach)->serialized_state(),
              states[user]);
  }
  const CliResult again = Cli(server, {"export", "events", "--out", second});
  ASSERT_EQ(again.code, ExitCode::kOk) << again.err;
  EXPECT_EQ(Contents(first), Contents(second));
}

TEST_F(ExportTest, CliTakesSharesAndTimes) {
  TestServer server(options_);
  for (size_t user = 0; user < kExported; ++user) {
    Append(server, NameOf(user), 1, 3);
  }
  std::string lines;
  for (const char* share : {"0/2", "1/2"}) {
    const CliResult result =
        Cli(server, {"export", "events", "--out", "-", "--share", share,
                     "--json"});
    ASSERT_EQ(result.code, ExitCode::kOk) << result.err;
    EXPECT_THAT(result.out, ::testing::StartsWith("user,item,action,time"));
    EXPECT_THAT(result.err, HasSubstr("\"damaged_logs\":0"));
    lines += result.out;
  }
  EXPECT_EQ(std::count(lines.begin(), lines.end(), '\n'), 2 + 3 * kExported);
  const auto third = MakeEvent(*bundle_, NameOf(0), 3).time().seconds();
  const CliResult since =
      Cli(server, {"export", "events", "--out", "-", "--since",
                   absl::StrCat(third)});
  EXPECT_EQ(std::count(since.out.begin(), since.out.end(), '\n'),
            1 + kExported);
}

}  // namespace
}  // namespace qlarank::testing
