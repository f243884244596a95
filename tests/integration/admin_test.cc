// What operators ask of a running server: copies of its store, taken while it
// works, who was erased, and what runs.
#include <algorithm>
#include <array>
#include <atomic>
#include <filesystem>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "gmock/gmock.h"
#include "grpcpp/client_context.h"
#include "gtest/gtest.h"
#include "model/engine.h"
#include "server/metrics/version.h"
#include "state_store/rocksdb_state_store.h"
#include "state_store/store_check.h"
#include "state_store/store_copies.h"
#include "tests/cli/run_cli.h"
#include "tests/integration/test_server.h"
#include "tests/testing/fresh_fold.h"
#include "tests/testing/requests.h"
#include "tests/testing/temp_dir.h"

namespace qlarank::testing {
namespace {

constexpr size_t kUsers = 6;
constexpr uint64_t kBatch = 7;

std::string UserName(size_t user) { return absl::StrCat("user", user); }

class AdminTest : public ::testing::Test {
 protected:
  AdminTest() {
    options_.store.engine = StoreEngine::kRocksDb;
    options_.store.path = dir_.Path("store");
    options_.store.checkpoint_path = dir_.Path("checkpoints");
    options_.store.backup_path = dir_.Path("backups");
    options_.store.snapshot_interval_events = 16;
    // Too small for all users: snapshots are written and read all the time.
    options_.store.user_cache_bytes = 64 << 10;
  }

  static grpc::Status Checkpoint(TestServer& server, const std::string& name,
                                 v1::CheckpointResponse& response) {
    grpc::ClientContext context;
    v1::CheckpointRequest request;
    request.set_name(name);
    return server.admin().Checkpoint(&context, request, &response);
  }

  static grpc::Status Backup(TestServer& server, v1::BackupResponse& response) {
    grpc::ClientContext context;
    return server.admin().Backup(&context, v1::BackupRequest(), &response);
  }

  static v1::ListErasuresResponse ListErasures(TestServer& server,
                                               const std::string& user) {
    grpc::ClientContext context;
    v1::ListErasuresRequest request;
    request.set_user_id(user);
    v1::ListErasuresResponse response;
    const grpc::Status status =
        server.admin().ListErasures(&context, request, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return response;
  }

  std::unique_ptr<StateStore> OpenStore(const std::string& path) {
    RocksDbOptions options;
    options.path = path;
    auto store = OpenRocksDbStateStore(options);
    EXPECT_TRUE(store.ok()) << store.status();
    return *std::move(store);
  }

  // The store at `path` holds at least `acknowledged` events of each user, as
  // they were sent, every snapshot in it is bit for bit a fold of them, and so
  // is every state that a server over it serves. After the sources have sent
  // everything again, up to `last`, it has the bits of `live`.
  void ExpectRestored(const std::string& path,
                      const std::vector<uint64_t>& acknowledged, uint64_t last,
                      const std::vector<std::string>& live) {
    SCOPED_TRACE(path);
    const auto found = VerifyStore(path, [](const StoreProblem& problem) {
      ADD_FAILURE() << problem.column_family << ": " << problem.what;
    });
    ASSERT_TRUE(found.ok()) << found.status();
    std::vector<std::string> folds;
    {
      const auto store = OpenStore(path);
      for (size_t user = 0; user < kUsers; ++user) {
        const std::string name = UserName(user);
        const uint64_t events = store->GetHead(name)->last_sequence;
        EXPECT_GE(events, acknowledged[user]) << name;
        folds.push_back(*FreshFold(*engine_, *store, name));
        const auto snapshot =
            store->GetSnapshot(engine_->state_fingerprint(), name);
        ASSERT_TRUE(snapshot.ok()) << snapshot.status();
        if (!snapshot->has_value()) continue;
        EXPECT_EQ((*snapshot)->state,
                  *FreshFold(*engine_, *store, name,
                             (*snapshot)->folded_sequence));
      }
    }
    ServerOptions options = options_;
    options.store.path = path;
    TestServer server(options);
    for (size_t user = 0; user < kUsers; ++user) {
      const auto state = server.GetState(UserName(user), acknowledged[user]);
      ASSERT_TRUE(state.ok()) << state.status();
      const auto caught_up =
          server.GetState(UserName(user), state->state().log_sequence());
      EXPECT_EQ(caught_up->serialized_state(), folds[user]);
      const auto again =
          server.Append(MakeAppend(*bundle_, UserName(user), 1, last));
      ASSERT_TRUE(again.ok()) << again.status();
      EXPECT_EQ(server.GetState(UserName(user), last)->serialized_state(),
                live[user]);
    }
  }

  TempDir dir_;
  ServerOptions options_ = TestOptions();
  const std::shared_ptr<const Bundle> bundle_ = LoadGolden(GoldenModel());
  const std::unique_ptr<const Engine> engine_ = *Engine::Create(bundle_);
};

TEST_F(AdminTest, CopiesTakenUnderLoadAreRestoredBitForBit) {
  std::array<std::atomic<uint64_t>, kUsers> acknowledged{};
  std::atomic<bool> stop = false;
  std::vector<std::vector<uint64_t>> at_copy;  // a checkpoint, a backup, ...
  std::vector<std::string> live;
  uint64_t last = 0;
  {
    TestServer server(options_);
    std::vector<std::thread> sources;
    for (size_t user = 0; user < kUsers; ++user) {
      sources.emplace_back([&, user] {
        for (uint64_t first = 1; !stop; first += kBatch) {
          const auto response = server.Append(MakeAppend(
              *bundle_, UserName(user), first, first + kBatch - 1));
          ASSERT_TRUE(response.ok()) << response.status();
          acknowledged[user] = first + kBatch - 1;
        }
      });
    }
    for (int round = 0; round < 2; ++round) {
      for (auto& count : acknowledged) {
        const uint64_t target = count + 5 * kBatch;
        while (count < target) absl::SleepFor(absl::Milliseconds(1));
      }
      at_copy.emplace_back(acknowledged.begin(), acknowledged.end());
      v1::CheckpointResponse checkpoint;
      grpc::Status status =
          Checkpoint(server, absl::StrCat("round", round), checkpoint);
      ASSERT_TRUE(status.ok()) << status.error_message();
      EXPECT_EQ(checkpoint.path(),
                absl::StrCat(options_.store.checkpoint_path, "/round", round));
      at_copy.emplace_back(acknowledged.begin(), acknowledged.end());
      v1::BackupResponse backup;
      status = Backup(server, backup);
      ASSERT_TRUE(status.ok()) << status.error_message();
      EXPECT_EQ(backup.backup_id(), round + 1);
    }
    stop = true;
    for (std::thread& source : sources) source.join();
    last = *std::max_element(acknowledged.begin(), acknowledged.end());
    for (size_t user = 0; user < kUsers; ++user) {
      ASSERT_TRUE(
          server.Append(MakeAppend(*bundle_, UserName(user), 1, last)).ok());
      live.push_back(
          server.GetState(UserName(user), last)->serialized_state());
    }
  }
  for (int round = 0; round < 2; ++round) {
    const std::string from_checkpoint =
        dir_.Path(absl::StrCat("from-checkpoint", round));
    absl::Status status = RestoreStore(
        absl::StrCat(options_.store.checkpoint_path, "/round", round), 0,
        from_checkpoint);
    ASSERT_TRUE(status.ok()) << status;
    ExpectRestored(from_checkpoint, at_copy[2 * round], last, live);
    const std::string from_backup =
        dir_.Path(absl::StrCat("from-backup", round));
    status = RestoreStore(options_.store.backup_path, round + 1, from_backup);
    ASSERT_TRUE(status.ok()) << status;
    ExpectRestored(from_backup, at_copy[2 * round + 1], last, live);
  }
}

TEST_F(AdminTest, RefusesNamesThatAreNoFoldersAndWhatIsNotConfigured) {
  {
    TestServer server(options_);
    v1::CheckpointResponse response;
    for (const std::string name :
         {"", ".", "..", "../store", "a/b", "/tmp/x", ".hidden", "a b", "ü"}) {
      const grpc::Status status = Checkpoint(server, name, response);
      EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT)
          << name;
      EXPECT_THAT(status.error_message(), ::testing::StartsWith("name: "));
    }
    EXPECT_TRUE(Checkpoint(server, "one", response).ok());
    EXPECT_EQ(Checkpoint(server, "one", response).error_code(),
              grpc::StatusCode::ALREADY_EXISTS);
  }
  options_.store.checkpoint_path = "";
  options_.store.backup_path = "";
  TestServer server(options_);
  v1::CheckpointResponse checkpoint;
  grpc::Status status = Checkpoint(server, "two", checkpoint);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_THAT(status.error_message(),
              ::testing::HasSubstr("store.checkpoint_path"));
  v1::BackupResponse backup;
  status = Backup(server, backup);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_THAT(status.error_message(),
              ::testing::HasSubstr("store.backup_path"));
}

TEST_F(AdminTest, ErasuresAreListedWithoutTheUser) {
  options_.retention.purge_interval = absl::Milliseconds(50);
  TestServer server(options_);
  ASSERT_TRUE(server.Append(MakeAppend(*bundle_, "ann", 1, 40)).ok());
  ASSERT_TRUE(server.Append(MakeAppend(*bundle_, "bob", 1, 3)).ok());
  EXPECT_TRUE(ListErasures(server, "").erasures().empty());
  const absl::Time before = absl::Now();
  EXPECT_EQ(server.Delete("ann")->events_deleted(), 40u);
  EXPECT_FALSE(server.Delete("nobody")->found());

  auto listed = ListErasures(server, "");
  ASSERT_EQ(listed.erasures_size(), 1);
  const v1::Erasure erasure = listed.erasures(0);
  EXPECT_EQ(erasure.events(), 40u);
  EXPECT_EQ(erasure.reason(), "request");
  EXPECT_GE(erasure.time().seconds(), absl::ToUnixSeconds(before));
  EXPECT_THAT(erasure.ShortDebugString(),
              ::testing::Not(::testing::HasSubstr("ann")));
  EXPECT_EQ(ListErasures(server, "ann").erasures_size(), 1);
  EXPECT_EQ(ListErasures(server, "bob").erasures_size(), 0);

  // The bytes leave the files by themselves.
  const absl::Time deadline = absl::Now() + absl::Seconds(30);
  while (!ListErasures(server, "ann").erasures(0).purged()) {
    ASSERT_LT(absl::Now(), deadline);
    absl::SleepFor(absl::Milliseconds(20));
  }
  EXPECT_EQ(server.GetState("bob", 3)->state().event_count(), 3u);
}

TEST_F(AdminTest, ServerInfoIsOfTheServerAndOfNobody) {
  options_.ingest.shards = 3;
  TestServer server(options_);
  ASSERT_TRUE(server.Append(MakeAppend(*bundle_, "annabel", 1, 4)).ok());
  const auto state = server.GetState("annabel", 4);
  ASSERT_TRUE(state.ok()) << state.status();

  grpc::ClientContext context;
  v1::GetServerInfoResponse info;
  const grpc::Status status = server.admin().GetServerInfo(
      &context, v1::GetServerInfoRequest(), &info);
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(info.server_version(), BuildVersion());
  EXPECT_EQ(info.store_format(), 2u);
  EXPECT_EQ(info.num_partitions(), 16u);
  EXPECT_EQ(info.num_owners(), 3u);
  ASSERT_EQ(info.models_size(), 1);
  const v1::Model& model = info.models(0);
  EXPECT_EQ(model.name(), state->model_name());
  EXPECT_EQ(model.version(), state->model_version());
  EXPECT_TRUE(model.is_default());
  EXPECT_EQ(model.state_fingerprint(), state->state_fingerprint());
  EXPECT_EQ(model.state_bytes() +
                bundle_->spec().event_features_size() * sizeof(float),
            state->state_bytes());
  EXPECT_EQ(model.scoring_precision(), v1::SCORING_PRECISION_F32);
  EXPECT_THAT(info.ShortDebugString(),
              ::testing::Not(::testing::HasSubstr("annabel")));

  const CliResult shown =
      RunCli({"--admin-server", server.admin_address(), "server-info"});
  EXPECT_EQ(shown.code, ExitCode::kOk) << shown.err;
  EXPECT_THAT(shown.out, ::testing::HasSubstr("partitions  16\n"));
  EXPECT_THAT(shown.out, ::testing::HasSubstr(model.state_fingerprint()));
}

TEST_F(AdminTest, TheCommandLineDoesAllOfIt) {
  TestServer server(options_);
  ASSERT_TRUE(server.Append(MakeAppend(*bundle_, "ann", 1, 4)).ok());
  const auto run = [&](std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(),
                     {"--admin-server", server.admin_address()});
    return RunCli(std::move(arguments));
  };
  EXPECT_EQ(run({"erasures"}).code, ExitCode::kNegative);
  EXPECT_EQ(run({"delete-user", "--user", "ann", "--yes"}).code, ExitCode::kOk);
  CliResult result = run({"erasures", "--user", "ann"});
  EXPECT_EQ(result.code, ExitCode::kOk);
  EXPECT_THAT(result.out, ::testing::HasSubstr("request"));
  EXPECT_THAT(result.out, ::testing::Not(::testing::HasSubstr("ann")));
  EXPECT_EQ(run({"erasures", "--user", "bob"}).code, ExitCode::kNegative);

  result = run({"checkpoint", "one"});
  EXPECT_EQ(result.code, ExitCode::kOk) << result.err;
  EXPECT_THAT(result.out, ::testing::HasSubstr("checkpoints/one"));
  EXPECT_EQ(run({"checkpoint", "../one"}).code, ExitCode::kBadInput);
  result = run({"backup", "--keep", "1"});
  EXPECT_EQ(result.code, ExitCode::kOk) << result.err;
  EXPECT_THAT(result.out, ::testing::HasSubstr("backup 1: "));
  result = run({"backup", "--keep", "1"});
  EXPECT_EQ(result.code, ExitCode::kOk) << result.err;
  const auto kept = ListBackups(options_.store.backup_path);
  ASSERT_TRUE(kept.ok()) << kept.status();
  ASSERT_EQ(kept->size(), 1u);
  EXPECT_EQ((*kept)[0].id, 2u);
  result = RunCli({"store", "restore", options_.store.backup_path,
                   dir_.Path("restored")});
  EXPECT_EQ(result.code, ExitCode::kOk) << result.err;
  EXPECT_EQ(RunCli({"store", "verify", dir_.Path("restored")}).code,
            ExitCode::kOk);
}

}  // namespace
}  // namespace qlarank::testing
