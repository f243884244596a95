// A second version of a model comes, takes over, is rolled back and goes, under
// traffic that must not notice.
#include <array>
#include <atomic>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "grpcpp/client_context.h"
#include "gtest/gtest.h"
#include "server/work/proto_time.h"
#include "tests/cli/run_cli.h"
#include "tests/integration/test_server.h"
#include "tests/testing/fresh_fold.h"
#include "tests/testing/requests.h"
#include "tests/testing/temp_dir.h"

namespace qlarank::testing {
namespace {

constexpr int kQuietUsers = 8;
constexpr uint64_t kQuietEvents = 40;

std::string QuietUser(int i) { return absl::StrCat("quiet-", i); }
std::string BusyUser(int i) { return absl::StrCat("busy-", i); }

class RolloutTest : public ::testing::Test {
 protected:
  // Version 1 is configured; of version 2 there is a bundle.
  RolloutTest() {
    options_.models[0].name = "m";
    options_.store.engine = StoreEngine::kRocksDb;
    options_.store.path = dir_.Path("store");
    options_.model_base_path = dir_.Path("bundles");
    std::filesystem::create_directories(dir_.Path("bundles/m"));
    std::filesystem::copy(second_.path, dir_.Path("bundles/m/2"));
    server_ = std::make_unique<TestServer>(options_);
  }

  void Restart() {
    server_ = nullptr;
    server_ = std::make_unique<TestServer>(options_);
  }

  v1::RankRequest Request(const std::string& user, uint64_t version = 0) {
    v1::RankRequest request =
        MakeRank(*bundle_, user, CatalogueItems(*bundle_, 70));
    request.set_model_version(version);
    return request;
  }

  // By version and user, of the quiet ones: what a server that was started with
  // both models says.
  using Scores = std::map<std::pair<uint64_t, std::string>, std::vector<float>>;
  static std::vector<float> ScoresOf(const v1::RankResponse& response) {
    return {response.scores().begin(), response.scores().end()};
  }
  Scores Expected() {
    ServerOptions options = TestOptions(options_.models[0]);
    options.models.push_back(second_);
    TestServer server(options);
    Scores expected;
    for (int i = 0; i < kQuietUsers; ++i) {
      const std::string user = QuietUser(i);
      EXPECT_TRUE(
          server.Append(MakeAppend(*bundle_, user, 1, kQuietEvents)).ok());
      for (const uint64_t version : {1, 2}) {
        v1::RankRequest request = Request(user, version);
        request.set_min_event_count(kQuietEvents);
        const auto response = server.Rank(request);
        EXPECT_TRUE(response.ok()) << response.status();
        expected[{version, user}] = ScoresOf(*response);
      }
    }
    return expected;
  }

  // Runs a command of the operators', which must succeed.
  CliResult Model(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(),
                     {"--admin-server", server_->admin_address(), "model"});
    return RunCli(std::move(arguments));
  }
  void MustModel(std::vector<std::string> arguments) {
    const CliResult result = Model(std::move(arguments));
    EXPECT_EQ(result.code, ExitCode::kOk) << result.err;
  }
  std::string Address() const {
    return absl::StrCat("127.0.0.1:", server_->grpc_port());
  }
  // Whoever has a state or not.
  void Label(const std::string& label, const std::string& version) {
    MustModel({"label", "m", label, version, "--min-coverage", "0"});
  }

  // States under a version are those of a fresh fold of the user's events.
  void ExpectFreshFold(const Engine& engine, uint64_t version,
                       const std::string& user, uint64_t num_events) {
    std::vector<LoggedEvent> events;
    for (uint64_t n = 1; n <= num_events; ++n) {
      const v1::Event event = MakeEvent(*bundle_, user, n);
      LoggedEvent& logged = events.emplace_back();
      logged.item_id = event.item_id();
      logged.action = event.action();
      logged.time_us = ToMicros(event.time());
    }
    grpc::ClientContext context;
    v1::GetUserStateRequest request;
    request.set_user_id(user);
    request.set_model_version(version);
    request.set_min_event_count(num_events);
    request.set_include_state(true);
    v1::GetUserStateResponse response;
    const grpc::Status status =
        server_->state().GetUserState(&context, request, &response);
    ASSERT_TRUE(status.ok()) << status.error_message();
    EXPECT_EQ(response.model_version(), version);
    EXPECT_TRUE(response.serialized_state() == FoldOf(engine, events))
        << user << " under version " << version;
  }

  static ModelOptions Second() {
    ModelOptions model = GoldenModel("all_l1_plain");
    model.name = "m";
    model.version = 2;
    model.default_model = false;
    return model;
  }

  const TempDir dir_;
  ServerOptions options_ = TestOptions(GoldenModel("dot_l1_plain"));
  const ModelOptions second_ = Second();
  const std::shared_ptr<const Bundle> bundle_ =
      LoadGolden(GoldenModel("dot_l1_plain"));
  std::unique_ptr<TestServer> server_;
};

// Traffic of several clients until it is destroyed, every answer checked.
class Traffic {
 public:
  Traffic() = default;
  ~Traffic() { Stop(); }

  // Calls `act` again and again.
  void Add(std::function<void(uint64_t n)> act) {
    threads_.emplace_back([this, act = std::move(act)] {
      for (uint64_t n = 1; !stop_; ++n) act(n);
    });
  }
  void Stop() {
    stop_ = true;
    for (std::thread& thread : threads_) thread.join();
    threads_.clear();
  }

 private:
  std::atomic<bool> stop_ = false;
  std::vector<std::thread> threads_;
};

TEST_F(RolloutTest, TrafficDoesNotNotice) {
  const Scores expected = Expected();
  for (int i = 0; i < kQuietUsers; ++i) {
    ASSERT_TRUE(
        server_->Append(MakeAppend(*bundle_, QuietUser(i), 1, kQuietEvents))
            .ok());
  }
  std::array<std::atomic<uint64_t>, 2> appended = {0, 0};
  std::array<std::atomic<uint64_t>, 3> answered = {0, 0, 0};  // by version
  Traffic traffic;
  for (int reader = 0; reader < 2; ++reader) {
    traffic.Add([&, reader](uint64_t n) {
      const std::string user = QuietUser((n + reader) % kQuietUsers);
      v1::RankRequest request = Request(user);
      request.set_min_event_count(kQuietEvents);
      const auto response = server_->Rank(request);
      ASSERT_TRUE(response.ok()) << response.status();
      ASSERT_TRUE(ScoresOf(*response) ==
                  expected.at({response->model_version(), user}))
          << user << " under version " << response->model_version();
      ++answered[response->model_version()];
    });
  }
  for (int writer = 0; writer < 2; ++writer) {
    traffic.Add([&, writer](uint64_t n) {
      const std::string user = BusyUser(writer);
      const auto response =
          server_->Append(MakeAppend(*bundle_, user, n, n, user));
      ASSERT_TRUE(response.ok()) << response.status();
      const auto ranked = server_->Rank(Request(user));
      ASSERT_TRUE(ranked.ok()) << ranked.status();
      appended[writer] = n;
    });
  }
  const auto await_answers_of = [&](uint64_t version) {
    const uint64_t before = answered[version];
    const absl::Time end = absl::Now() + absl::Seconds(60);
    while (answered[version] < before + 20 && absl::Now() < end) {
      absl::SleepFor(absl::Milliseconds(1));
    }
    EXPECT_GE(answered[version], before + 20) << "of version " << version;
  };
  const auto first = *Engine::Create(bundle_);
  const auto second = *Engine::Create(LoadGolden(second_));
  for (int round = 0; round < 3; ++round) {
    await_answers_of(1);
    MustModel({"load", "m/2"});
    await_answers_of(1);
    Label("stable", "1");
    Label("stable", "2");
    await_answers_of(2);
    for (int i = 0; i < kQuietUsers; ++i) {
      ExpectFreshFold(*second, 2, QuietUser(i), kQuietEvents);
    }
    MustModel({"rollback", "m"});
    await_answers_of(1);
    MustModel({"unload", "m/2"});
    EXPECT_EQ(server_->Metric("qlarank_models{state=\"serving\"}"), 1);
  }
  MustModel({"load", "m/2"});
  traffic.Stop();
  for (int writer = 0; writer < 2; ++writer) {
    ExpectFreshFold(*first, 1, BusyUser(writer), appended[writer]);
    ExpectFreshFold(*second, 2, BusyUser(writer), appended[writer]);
  }
}

TEST_F(RolloutTest, ARestartKeepsLoadsAndLabels) {
  MustModel({"load", "m/2"});
  Label("canary", "2");
  Label("stable", "2");
  const std::string before = Model({"label", "m", "canary", "2", "--json",
                                    "--min-coverage", "0"}).out;
  Restart();
  EXPECT_EQ(Model({"label", "m", "canary", "2", "--json",
                                    "--min-coverage", "0"}).out, before);
  EXPECT_EQ(server_->Rank(Request("user"))->model_version(), 2);
  EXPECT_EQ(server_->Rank(Request("user", 1))->model_version(), 1);
}

TEST_F(RolloutTest, StatesAreMadeForALoadedVersionAndItIsShown) {
  for (int i = 0; i < kQuietUsers; ++i) {
    ASSERT_TRUE(
        server_->Append(MakeAppend(*bundle_, QuietUser(i), 1, 100)).ok());
  }
  MustModel({"load", "m/2"});
  std::string shown;
  const absl::Time end = absl::Now() + absl::Seconds(60);
  while (!absl::StrContains(shown, "migration    done") && absl::Now() < end) {
    shown = RunCli({"--server", Address(), "model", "show", "m/2"}).out;
  }
  EXPECT_TRUE(absl::StrContains(
      shown, "done: 8 of 8 users covered, 0 events to fold"))
      << shown;
  EXPECT_EQ(server_->Metric("qlarank_migrations_total{event=\"done\"}"), 1);
  // Nobody asked for them; a snapshot is due every 64 events.
  EXPECT_GE(server_->Metric("qlarank_snapshots_written_total"), kQuietUsers);
  MustModel({"label", "m", "stable", "2"});
  EXPECT_EQ(RunCli({"--server", Address(), "model", "show", "m/1"})
                .out.find("migration"),
            std::string::npos);
}

TEST_F(RolloutTest, OfTwoOperatorsWhoSawTheSameOneHasTheirWay) {
  MustModel({"load", "m/2"});
  std::atomic<int> taken = 0, refused = 0;
  std::vector<std::thread> operators;
  for (int i = 0; i < 8; ++i) {
    operators.emplace_back([&, i] {
      grpc::ClientContext context;
      v1::SetLabelRequest request;
      request.set_model_name("m");
      request.set_label("stable");
      request.set_model_version(1 + i % 2);
      request.set_etag("0");
      request.set_min_coverage(0);
      v1::SetLabelResponse response;
      const grpc::Status status =
          server_->model_admin().SetLabel(&context, request, &response);
      if (status.ok()) {
        ++taken;
        EXPECT_EQ(response.labels().etag(), "1");
      } else {
        ++refused;
        EXPECT_EQ(status.error_code(), grpc::StatusCode::ABORTED)
            << status.error_message();
      }
    });
  }
  for (std::thread& thread : operators) thread.join();
  EXPECT_EQ(taken, 1);
  EXPECT_EQ(refused, 7);
}

TEST_F(RolloutTest, RequestsNameALabelOrAVersion) {
  MustModel({"load", "m/2"});
  Label("canary", "2");
  v1::RankRequest request = Request("user");
  request.set_model_label("canary");
  EXPECT_EQ(server_->Rank(request)->model_version(), 2);
  request.set_model_label("none");
  EXPECT_TRUE(absl::IsNotFound(server_->Rank(request).status()));
  request.set_model_label("canary");
  request.set_model_version(2);
  EXPECT_TRUE(absl::IsInvalidArgument(server_->Rank(request).status()));
  grpc::ClientContext context;
  v1::GetModelRequest get;
  get.set_model_label("canary");
  v1::GetModelResponse model;
  ASSERT_TRUE(server_->model().GetModel(&context, get, &model).ok());
  EXPECT_EQ(model.model().version(), 2);
  ASSERT_EQ(model.model().labels_size(), 1);
  EXPECT_EQ(model.model().labels(0), "canary");
  EXPECT_EQ(model.model().labels_etag(), "1");
}

// Folders come, are broken, mended, replaced and go.
TEST_F(RolloutTest, FoldersAreFollowed) {
  namespace fs = std::filesystem;
  options_.model_watch.interval = absl::Milliseconds(100);
  options_.model_watch.label = "stable";
  const std::string second = dir_.Path("bundles/m/2");
  const std::string aside = dir_.Path("bundles/m/.2");
  fs::rename(second, aside);
  Restart();
  Label("stable", "1");
  ASSERT_TRUE(server_->Append(MakeAppend(*bundle_, "user", 1, 100)).ok());
  EXPECT_EQ(server_->Rank(Request("user"))->model_version(), 1);
  const auto await = [&](auto holds) {
    const absl::Time end = absl::Now() + absl::Seconds(60);
    while (!holds() && absl::Now() < end) {
      absl::SleepFor(absl::Milliseconds(5));
    }
    return holds();
  };
  const auto shown = [&] {
    return RunCli({"--server", Address(), "model", "show", "m/2"}).out;
  };
  const auto usual = [&] {
    return server_->Rank(Request("user"))->model_version();
  };
  // Broken, once.
  fs::create_directory(second);
  fs::copy(aside + "/model.textproto", second + "/model.textproto");
  ASSERT_TRUE(await([&] { return absl::StrContains(shown(), "failed"); }));
  EXPECT_TRUE(absl::StrContains(shown(), "weights.safetensors")) << shown();
  absl::SleepFor(absl::Milliseconds(350));
  EXPECT_EQ(server_->Metric("qlarank_model_watch_total{event=\"failed\"}"), 1);
  // Mended: exchanged for one that is whole. Users go to it when they are there.
  fs::rename(second, dir_.Path("bundles/m/.broken"));
  fs::rename(aside, second);
  ASSERT_TRUE(await([&] { return usual() == 2; })) << shown();
  EXPECT_TRUE(absl::StrContains(shown(), "labels       stable")) << shown();
  ExpectFreshFold(**Engine::Create(LoadGolden(second_)), 2, "user", 100);
  // What serves stays as it is while its folder is exchanged, or gone.
  fs::rename(second, aside);
  fs::rename(dir_.Path("bundles/m/.broken"), second);
  absl::SleepFor(absl::Milliseconds(350));
  EXPECT_EQ(usual(), 2);
  fs::remove_all(second);
  absl::SleepFor(absl::Milliseconds(350));
  EXPECT_EQ(usual(), 2);
  // It goes when no label holds it.
  MustModel({"rollback", "m"});
  ASSERT_TRUE(await([&] {
    return server_->Metric("qlarank_models{state=\"serving\"}") == 1;
  }));
  EXPECT_EQ(usual(), 1);
  EXPECT_EQ(server_->Metric("qlarank_model_watch_total{event=\"unloaded\"}"), 1);
}

TEST_F(RolloutTest, DroppedStatesAndUnloadedModelsFreeTheirSpace) {
  for (int i = 0; i < kQuietUsers; ++i) {
    ASSERT_TRUE(
        server_->Append(MakeAppend(*bundle_, QuietUser(i), 1, 100)).ok());
  }
  const auto info = [&] {
    grpc::ClientContext context;
    v1::GetServerInfoResponse response;
    EXPECT_TRUE(server_->admin()
                    .GetServerInfo(&context, v1::GetServerInfoRequest(),
                                   &response)
                    .ok());
    return response;
  };
  const auto bytes_kept = [&](const std::string& fingerprint) {
    const v1::GetServerInfoResponse kept = info();
    for (const v1::StoredStates& states : kept.stored_states()) {
      if (states.state_fingerprint() == fingerprint) return states.bytes();
    }
    return uint64_t{0};
  };
  MustModel({"load", "m/2"});
  const std::string fingerprint = info().models(1).state_fingerprint();
  const absl::Time end = absl::Now() + absl::Seconds(60);
  while (server_->Metric("qlarank_migrations_total{event=\"done\"}") == 0 &&
         absl::Now() < end) {
    absl::SleepFor(absl::Milliseconds(5));
  }
  const double cached = server_->Metric("qlarank_cached_state_bytes");
  MustModel({"unload", "m/2"});
  // They stay until they are dropped; of memory nothing does.
  EXPECT_GT(bytes_kept(fingerprint), kQuietUsers * 100);
  EXPECT_LE(server_->Metric("qlarank_cached_state_bytes"), cached);
  MustModel({"load", "m/2"});
  const CliResult dropped = Model({"unload", "m/2", "--drop-states"});
  EXPECT_EQ(dropped.out, "model m/2 is unloaded\nits states are dropped\n");
  EXPECT_EQ(bytes_kept(fingerprint), 0);
  EXPECT_EQ(info().models_size(), 1);
}

TEST_F(RolloutTest, ALabelMovesByItself) {
  options_.migration.processor_share = 0.001;
  options_.migration.max_events_behind = 1;
  Restart();
  for (int i = 0; i < kQuietUsers; ++i) {
    ASSERT_TRUE(
        server_->Append(MakeAppend(*bundle_, QuietUser(i), 1, 100)).ok());
  }
  MustModel({"load", "m/2"});
  MustModel({"label", "m", "stable", "2", "--when-covered"});
  const absl::Time end = absl::Now() + absl::Seconds(60);
  while (server_->Rank(Request("user"))->model_version() == 1 &&
         absl::Now() < end) {
    absl::SleepFor(absl::Milliseconds(5));
  }
  const std::string shown =
      RunCli({"--server", Address(), "model", "show", "m/2"}).out;
  EXPECT_TRUE(absl::StrContains(shown, "labels       stable")) << shown;
  EXPECT_TRUE(absl::StrContains(shown, "8 of 8 users covered")) << shown;
}

TEST_F(RolloutTest, TrafficGoesToALabelAndIsRemembered) {
  MustModel({"load", "m/2"});
  Label("canary", "2");
  MustModel({"traffic", "m", "canary", "--share", "0", "--user", "ann"});
  MustModel({"shadow", "m", "canary", "--sample", ".25"});
  for (int start = 0; start < 2; ++start) {
    EXPECT_EQ(server_->Rank(Request("ann"))->model_version(), 2);
    EXPECT_EQ(server_->Rank(Request("bob"))->model_version(), 1);
    EXPECT_EQ(server_->Rank(Request("ann", 1))->model_version(), 1);
    const std::string shown =
        RunCli({"--server", Address(), "model", "show", "m/2"}).out;
    EXPECT_TRUE(absl::StrContains(
        shown, "traffic      canary: a share of 0 of the users, and 1 who are "
               "named\n"
               "shadow       scores a share of 0.25 of other versions' "
               "requests again\n"))
        << shown;
    EXPECT_FALSE(absl::StrContains(
        RunCli({"--server", Address(), "model", "show", "m/1"}).out,
        "traffic"));
    Restart();
  }
  MustModel({"traffic", "m", "canary", "--share", "1"});
  EXPECT_EQ(server_->Rank(Request("bob"))->model_version(), 2);
  // What is counted by version is of the one that answered.
  EXPECT_EQ(server_->Metric("qlarank_rank_requests_total{model=\"m\","
                            "status=\"OK\",version=\"2\"}"),
            1);
  MustModel({"label", "m", "canary", "--remove"});
  EXPECT_EQ(server_->Rank(Request("bob"))->model_version(), 1);
}

TEST_F(RolloutTest, AFailureIsListedWithItsReason) {
  std::filesystem::remove(dir_.Path("bundles/m/2/weights.safetensors"));
  EXPECT_NE(Model({"load", "m/2"}).code, ExitCode::kOk);
  grpc::ClientContext context;
  v1::GetModelRequest get;
  get.set_model_name("m");
  get.set_model_version(2);
  v1::GetModelResponse model;
  ASSERT_TRUE(server_->model().GetModel(&context, get, &model).ok());
  EXPECT_EQ(model.model().state(), v1::MODEL_STATE_FAILED);
  EXPECT_NE(model.model().error().find("weights.safetensors"),
            std::string::npos);
  EXPECT_TRUE(model.model().has_state_time());
  EXPECT_FALSE(model.model().has_schema());
  EXPECT_EQ(server_->Rank(Request("user"))->model_version(), 1);
  EXPECT_TRUE(absl::IsNotFound(server_->Rank(Request("user", 2)).status()));
}

}  // namespace
}  // namespace qlarank::testing
