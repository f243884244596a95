// Kills the server with SIGKILL at random moments under load, again and again,
// and holds what is left against what was acknowledged:
//
//   - every acknowledged event is in the log exactly once, in order, unchanged,
//     and none is there twice;
//   - every snapshot, and every state served, is bit for bit a fold of the log.
//
// QLARANK_CRASH_ROUNDS (20) and QLARANK_CRASH_SEED (random) may be set in the
// environment; the seed is printed.
#include <signal.h>

#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "absl/random/random.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "grpcpp/client_context.h"
#include "grpcpp/create_channel.h"
#include "grpcpp/security/credentials.h"
#include "gtest/gtest.h"
#include "model/engine.h"
#include "qlarank/v1/rank_service.grpc.pb.h"
#include "qlarank/v1/state_service.grpc.pb.h"
#include "state_store/rocksdb_state_store.h"
#include "tests/crash/ledger.h"
#include "tests/crash/source_client.h"
#include "tests/server/server_process.h"
#include "tests/testing/fresh_fold.h"
#include "tests/testing/requests.h"
#include "tests/testing/temp_dir.h"

namespace qlarank::testing {
namespace {

constexpr int kUsers = 30;
constexpr int kSources = 3;

uint64_t FromEnvironment(const char* name, uint64_t otherwise) {
  const char* value = std::getenv(name);
  return value == nullptr ? otherwise : std::strtoull(value, nullptr, 10);
}

std::string UserName(int user) { return absl::StrCat("user", user); }

class CrashTest : public ::testing::Test {
 protected:
  CrashTest()
      : model_(GoldenModel("block_l1_silu_features")),
        bundle_(LoadGolden(model_)),
        engine_(*Engine::Create(bundle_)),
        seed_(FromEnvironment("QLARANK_CRASH_SEED", std::random_device()())) {
    std::cout << "QLARANK_CRASH_SEED=" << seed_ << std::endl;
    random_.seed(seed_);
    for (int source = 0; source < kSources; ++source) {
      ledgers_.push_back(std::make_unique<Ledger>(
          *bundle_, absl::StrCat("source", source), kUsers));
    }
    // Few events to a snapshot, and a cache too small for all users, so that
    // snapshots are written and read all the time.
    std::ofstream(dir_.Path("config")) << absl::StrCat(
        "listen { grpc_address: '127.0.0.1:0' http_address: '127.0.0.1:0'"
        " port_file: '",
        dir_.Path("ports"),
        "' }"
        " models { name: 'm' version: 1 path: '",
        model_.path,
        "' }"
        " store { path: '",
        dir_.Path("store"),
        "'"
        " user_cache_bytes: 100000 snapshot_interval_events: 8 }"
        " ingest { max_group_events: 64 }"
        " rank { workers: 2 }");
  }

  void Start() {
    std::filesystem::remove(dir_.Path("ports"));
    server_ = std::make_unique<ServerProcess>(
        QLARANK_SERVER,
        std::vector<std::string>{"--config_file=" + dir_.Path("config")},
        dir_.path());
  }

  // Blocks until the server serves; false if it ended instead.
  bool Connect() {
    while (!std::filesystem::exists(dir_.Path("ports"))) {
      if (server_->Wait(absl::Milliseconds(5)).has_value()) return false;
    }
    int port = 0;
    std::ifstream(dir_.Path("ports")) >> port;
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    channel_ = grpc::CreateCustomChannel(absl::StrCat("127.0.0.1:", port),
                                         grpc::InsecureChannelCredentials(),
                                         arguments);
    return true;
  }

  absl::Duration UpTo(absl::Duration most) {
    return most * absl::Uniform(random_, 0.0, 1.0);
  }

  void Kill() {
    server_->Signal(SIGKILL);
    ASSERT_EQ(server_->Wait(), -SIGKILL) << server_->Stderr();
    server_ = nullptr;
  }

  // Kills it while it stops, or a little later. Stopping is what puts snapshots
  // onto the disk, so later rounds meet old ones.
  void KillWhileItStops() {
    server_->Signal(SIGTERM);
    absl::SleepFor(UpTo(absl::Milliseconds(200)));
    server_->Signal(SIGKILL);
    const std::optional<int> code = server_->Wait();
    ASSERT_TRUE(code == 0 || code == -SIGKILL) << server_->Stderr();
    server_ = nullptr;
  }

  // Loads the server from all sources, kills it, and waits for the clients.
  void Round() {
    Start();
    if (absl::Bernoulli(random_, 0.1)) {  // while it recovers, or opens
      absl::SleepFor(UpTo(absl::Milliseconds(100)));
      return Kill();
    }
    ASSERT_TRUE(Connect()) << server_->Stderr();
    std::atomic<bool> stop{false};
    std::vector<std::string> errors(kSources);
    std::vector<std::thread> clients;
    for (int source = 0; source < kSources; ++source) {
      clients.emplace_back([&, source, seed = random_()] {
        std::mt19937_64 random(seed);
        errors[source] = SendUntilBroken(
            channel_, source == 0 ? Transport::kUnary : Transport::kStream,
            *ledgers_[source], random, stop);
      });
    }
    std::thread reader([&, seed = random_()] { RankUntilBroken(seed); });
    absl::SleepFor(UpTo(absl::Milliseconds(500)));
    if (absl::Bernoulli(random_, 0.3)) {
      KillWhileItStops();
    } else {
      Kill();
    }
    stop = true;
    for (std::thread& client : clients) client.join();
    reader.join();
    for (const std::string& error : errors) EXPECT_EQ(error, "");
  }

  // Ranking catches states up and publishes them, beside the folder.
  void RankUntilBroken(uint64_t seed) {
    std::mt19937_64 random(seed);
    const auto stub = v1::RankService::NewStub(channel_);
    while (true) {
      const int user = absl::Uniform(random, 0, kUsers);
      grpc::ClientContext context;
      v1::RankResponse response;
      if (!stub->Rank(&context,
                      MakeRank(*bundle_, UserName(user),
                               CatalogueItems(*bundle_, 5)),
                      &response)
               .ok()) {
        return;
      }
    }
  }

  // The server is down: reads its store.
  void CheckStore() {
    RocksDbOptions options;
    options.path = dir_.Path("store");
    auto opened = OpenRocksDbStateStore(options);
    ASSERT_TRUE(opened.ok()) << opened.status();
    StateStore& store = **opened;
    ASSERT_TRUE(store.OpenFingerprint(engine_->state_fingerprint()).ok());
    for (int user = 0; user < kUsers; ++user) CheckUser(store, UserName(user));
  }

  void CheckUser(StateStore& store, const std::string& user_id) {
    const auto head = store.GetHead(user_id);
    ASSERT_TRUE(head.ok()) << head.status();
    const auto log = store.ReadEvents(user_id, 1, head->last_sequence + 1);
    ASSERT_TRUE(log.ok()) << log.status();
    ASSERT_EQ(log->size(), head->last_sequence);
    for (const auto& ledger : ledgers_) {
      ASSERT_EQ(ledger->Check(user_id, *log), "");
    }
    const auto snapshot =
        store.GetSnapshot(engine_->state_fingerprint(), user_id);
    ASSERT_TRUE(snapshot.ok()) << snapshot.status();
    if (!snapshot->has_value()) return;
    ++snapshots_checked_;
    ASSERT_LE((*snapshot)->folded_sequence, log->size());
    const auto fold =
        FreshFold(*engine_, store, user_id, (*snapshot)->folded_sequence);
    ASSERT_TRUE(fold.ok()) << fold.status();
    ASSERT_TRUE(*fold == (*snapshot)->state) << user_id;
  }

  // What the server says a user's state is, caught up with the log.
  std::map<std::string, std::string> ServedStates() {
    const auto stub = v1::StateService::NewStub(channel_);
    std::map<std::string, std::string> states;
    for (int user = 0; user < kUsers; ++user) {
      v1::GetUserStateRequest request;
      v1::GetUserStateResponse response;
      request.set_user_id(UserName(user));
      request.set_include_state(true);
      for (int pass = 0; pass < 2; ++pass) {
        grpc::ClientContext context;
        const grpc::Status status =
            stub->GetUserState(&context, request, &response);
        EXPECT_TRUE(status.ok()) << status.error_message();
        request.set_min_event_count(response.state().log_sequence());
      }
      states[UserName(user)] = response.serialized_state();
    }
    return states;
  }

  void CheckServedStates() {
    Start();
    ASSERT_TRUE(Connect()) << server_->Stderr();
    const auto states = ServedStates();
    server_->Signal(SIGTERM);
    ASSERT_EQ(server_->Wait(), 0) << server_->Stderr();
    server_ = nullptr;

    RocksDbOptions options;
    options.path = dir_.Path("store");
    const auto store = OpenRocksDbStateStore(options);
    ASSERT_TRUE(store.ok()) << store.status();
    for (const auto& [user_id, state] : states) {
      const auto fold = FreshFold(*engine_, **store, user_id);
      ASSERT_TRUE(fold.ok()) << fold.status();
      EXPECT_TRUE(*fold == state) << user_id;
    }
  }

  uint64_t Acknowledged() const {
    uint64_t sum = 0;
    for (const auto& ledger : ledgers_) sum += ledger->acknowledged();
    return sum;
  }

  const ModelOptions model_;
  const std::shared_ptr<const Bundle> bundle_;
  const std::unique_ptr<const Engine> engine_;
  const uint64_t seed_;
  std::mt19937_64 random_;
  TempDir dir_;
  std::vector<std::unique_ptr<Ledger>> ledgers_;
  std::unique_ptr<ServerProcess> server_;
  std::shared_ptr<grpc::Channel> channel_;
  uint64_t snapshots_checked_ = 0;
};

TEST_F(CrashTest, AcknowledgedEventsCountExactlyOnceAcrossKills) {
  const uint64_t rounds = FromEnvironment("QLARANK_CRASH_ROUNDS", 20);
  for (uint64_t round = 1; round <= rounds; ++round) {
    SCOPED_TRACE(absl::StrCat("round ", round, ", seed ", seed_));
    ASSERT_NO_FATAL_FAILURE(Round());
    // Not each time: opening the store repairs what a crash left, which the
    // server must be able to do by itself.
    if (round % 2 == 0 || round == rounds) {
      ASSERT_NO_FATAL_FAILURE(CheckStore());
    }
    if (round % 10 == 0 || round == rounds) {
      ASSERT_NO_FATAL_FAILURE(CheckServedStates());
      std::cout << "round " << round << ": " << Acknowledged()
                << " events acknowledged, all there once; "
                << snapshots_checked_ << " snapshots checked" << std::endl;
    }
  }
  // Else the test tested little.
  EXPECT_GT(Acknowledged(), 20 * rounds);
  if (rounds >= 20) {
    EXPECT_GT(snapshots_checked_, rounds);
  }
}

}  // namespace
}  // namespace qlarank::testing
