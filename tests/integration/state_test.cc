// What outlives what: restarts, erasure, and the log as the truth.
#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/time/clock.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "state_store/rocksdb_state_store.h"
#include "tests/integration/test_server.h"
#include "tests/testing/fresh_fold.h"
#include "tests/testing/requests.h"
#include "tests/testing/temp_dir.h"

namespace qlarank::testing {
namespace {

class StateTest : public ::testing::Test {
 protected:
  StateTest() {
    options_.store.engine = StoreEngine::kRocksDb;
    options_.store.path = dir_.Path("store");
  }

  std::unique_ptr<StateStore> OpenStore() {
    RocksDbOptions options;
    options.path = options_.store.path;
    auto store = OpenRocksDbStateStore(options);
    EXPECT_TRUE(store.ok()) << store.status();
    return *std::move(store);
  }

  TempDir dir_;
  ServerOptions options_ = TestOptions();
  const std::shared_ptr<const Bundle> bundle_ = LoadGolden(GoldenModel());
};

std::string NameOf(int user) { return "user" + std::to_string(user); }

TEST_F(StateTest, AnUnknownUserIsNotAnError) {
  TestServer server(options_);
  const auto state = server.GetState("nobody", 0);
  ASSERT_TRUE(state.ok()) << state.status();
  EXPECT_FALSE(state->state().found());
  EXPECT_GT(state->state_bytes(), 0);
  EXPECT_TRUE(state->watermarks().empty());
  const auto deleted = server.Delete("nobody");
  ASSERT_TRUE(deleted.ok()) << deleted.status();
  EXPECT_FALSE(deleted->found());
}

// Each method is served where the access table says, and nowhere else.
TEST_F(StateTest, ErasureIsServedToOperatorsAndNothingElse) {
  TestServer server(options_);
  grpc::ClientContext erase_context;
  v1::DeleteUserRequest erase;
  erase.set_user_id("user");
  v1::DeleteUserResponse erased;
  EXPECT_EQ(server.state().DeleteUser(&erase_context, erase, &erased)
                .error_code(),
            grpc::StatusCode::UNIMPLEMENTED);
  grpc::ClientContext look_context;
  v1::GetUserStateRequest look;
  look.set_user_id("user");
  v1::GetUserStateResponse seen;
  EXPECT_EQ(server.admin_state().GetUserState(&look_context, look, &seen)
                .error_code(),
            grpc::StatusCode::UNIMPLEMENTED);
}

TEST_F(StateTest, EveryStateIsAFreshFoldOfTheLog) {
  constexpr int kUsers = 40;
  // Small enough that states are evicted, and come back from snapshots.
  options_.store.user_cache_bytes = 300'000;
  options_.store.snapshot_interval_events = 16;
  std::vector<std::string> served(kUsers);
  {
    TestServer server(options_);
    for (uint64_t first = 1; first <= 90; first += 9) {
      for (int user = 0; user < kUsers; ++user) {
        ASSERT_TRUE(server
                        .Append(MakeAppend(*bundle_, NameOf(user), first,
                                           first + user % 9))
                        .ok());
      }
    }
    for (int user = 0; user < kUsers; ++user) {
      const auto now = server.GetState(NameOf(user), 0);
      const auto state =
          server.GetState(NameOf(user), now->state().log_sequence());
      ASSERT_TRUE(state.ok()) << state.status();
      served[user] = state->serialized_state();
    }
  }
  const std::unique_ptr<StateStore> store = OpenStore();
  const auto engine = Engine::Create(bundle_);
  ASSERT_TRUE(engine.ok()) << engine.status();
  for (int user = 0; user < kUsers; ++user) {
    const auto fresh = FreshFold(**engine, *store, NameOf(user));
    ASSERT_TRUE(fresh.ok()) << fresh.status();
    EXPECT_TRUE(*fresh == served[user]) << NameOf(user);
  }
}

TEST_F(StateTest, ARestartKeepsEverything) {
  std::string before;
  std::vector<float> scores;
  v1::RankRequest request =
      MakeRank(*bundle_, "user", CatalogueItems(*bundle_, 100));
  request.set_min_event_count(70);
  {
    TestServer server(options_);
    ASSERT_TRUE(server.Append(MakeAppend(*bundle_, "user", 1, 70)).ok());
    before = server.GetState("user", 70)->serialized_state();
    const auto response = server.Rank(request);
    scores = {response->scores().begin(), response->scores().end()};
  }
  TestServer server(options_);
  const auto state = server.GetState("user", 0);
  ASSERT_TRUE(state.ok()) << state.status();
  EXPECT_EQ(state->state().event_count(), 70);
  EXPECT_TRUE(state->serialized_state() == before);
  EXPECT_EQ(state->watermarks().at("test"), 70);
  const auto response = server.Rank(request);
  ASSERT_TRUE(response.ok()) << response.status();
  EXPECT_TRUE(
      std::equal(scores.begin(), scores.end(), response->scores().begin()));
  // And duplicates are still known.
  const auto again = server.Append(MakeAppend(*bundle_, "user", 1, 71));
  EXPECT_EQ(again->applied(), 1);
  EXPECT_EQ(again->duplicates(), 70);
}

TEST_F(StateTest, ADamagedSnapshotIsRebuiltFromTheLog) {
  std::string before;
  {
    TestServer server(options_);
    ASSERT_TRUE(server.Append(MakeAppend(*bundle_, "user", 1, 70)).ok());
    before = server.GetState("user", 70)->serialized_state();
  }
  {
    const std::unique_ptr<StateStore> store = OpenStore();
    const std::string fingerprint = store->ListFingerprints()->front();
    ASSERT_TRUE(store->OpenFingerprint(fingerprint).ok());
    auto snapshot = store->GetSnapshot(fingerprint, "user");
    ASSERT_TRUE(snapshot.ok() && snapshot->has_value());
    ASSERT_EQ((*snapshot)->folded_sequence, 70);
    (*snapshot)->state.resize((*snapshot)->state.size() / 2);
    ASSERT_TRUE(store->PutSnapshot(fingerprint, "user", **snapshot).ok());
    ASSERT_TRUE(store->Flush().ok());
  }
  TestServer server(options_);
  const auto state = server.GetState("user", 0);
  ASSERT_TRUE(state.ok()) << state.status();
  EXPECT_TRUE(state->serialized_state() == before);
}

TEST_F(StateTest, AnErasedUserIsGoneAndMayComeBackAsNew) {
  TestServer server(options_);
  ASSERT_TRUE(server.Append(MakeAppend(*bundle_, "user", 1, 100)).ok());
  ASSERT_TRUE(server.GetState("user", 100).ok());
  const auto deleted = server.Delete("user");
  ASSERT_TRUE(deleted.ok()) << deleted.status();
  EXPECT_TRUE(deleted->found());
  EXPECT_EQ(deleted->events_deleted(), 100);
  const auto gone = server.GetState("user", 0);
  EXPECT_FALSE(gone->state().found());
  EXPECT_EQ(gone->state().log_sequence(), 0);
  EXPECT_TRUE(gone->watermarks().empty());
  // The same sequences are new events now.
  EXPECT_EQ(server.Append(MakeAppend(*bundle_, "user", 1, 5))->applied(), 5);
  EXPECT_EQ(server.GetState("user", 5)->state().event_count(), 5);
}

// Erases users over and over while their events are being folded: what comes
// after an erasure must be made of later events only.
TEST_F(StateTest, NoFoldBringsAnErasedUserBack) {
  options_.store.engine = StoreEngine::kMemory;
  options_.store.snapshot_interval_events = 1;
  TestServer server(options_);
  std::atomic<bool> stop{false};
  std::thread reader([&] {
    const v1::RankRequest request =
        MakeRank(*bundle_, "user", CatalogueItems(*bundle_, 5));
    while (!stop) ASSERT_TRUE(server.Rank(request).ok());
  });
  for (int round = 0; round < 150; ++round) {
    ASSERT_TRUE(server.Append(MakeAppend(*bundle_, "user", 1, 40)).ok());
    if (round % 3 == 0) absl::SleepFor(absl::Microseconds(round * 10));
    const auto deleted = server.Delete("user");
    ASSERT_TRUE(deleted.ok()) << deleted.status();
    ASSERT_EQ(deleted->events_deleted(), 40);
    const auto state = server.GetState("user", 0);
    ASSERT_TRUE(state.ok()) << state.status();
    ASSERT_FALSE(state->state().found()) << "round " << round;
    // A shorter history than the one erased: a state of the old log would be
    // ahead of it.
    ASSERT_TRUE(server.Append(MakeAppend(*bundle_, "user", 1, 2)).ok());
    ASSERT_EQ(server.GetState("user", 2)->state().event_count(), 2);
    ASSERT_TRUE(server.Delete("user").ok());
  }
  stop = true;
  reader.join();
}

}  // namespace
}  // namespace qlarank::testing
