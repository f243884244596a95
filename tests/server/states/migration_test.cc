#include "server/states/migration.h"

#include <algorithm>
#include <atomic>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/states/migrations.h"
#include "server/states/user_states.h"
#include "tests/testing/faulty_state_store.h"
#include "tests/testing/fresh_fold.h"
#include "tests/testing/loaded_model.h"
#include "tests/testing/requests.h"

namespace qlarank::testing {
namespace {

using Phase = Migration::Phase;

// Users whose events are in the log, and a model that has seen none of them.
class MigrationTest : public ::testing::Test {
 protected:
  static constexpr int kUsers = 60;

  MigrationTest() {
    EXPECT_TRUE(store_.OpenFingerprint(Fingerprint()).ok());
    Restart();
  }

  static std::string User(int i) { return absl::StrCat("user-", i); }
  static uint64_t NumEvents(int i) { return 1 + (i * 37) % 290; }

  std::string Fingerprint() const { return engine_->state_fingerprint(); }

  // Another memory over the same store: an empty cache.
  void Restart() {
    memory_ = nullptr;
    states_ = std::make_unique<UserStates>(store_, metrics_,
                                           UserStates::Options());
    memory_ = states_->Of(model_);
  }

  // So many more events of a user.
  void Append(const std::string& user_id, uint64_t count, int64_t time_us = 0) {
    UserAppend append;
    append.user_id = user_id;
    UserHead& head = append.head_after;
    head = *store_.GetHead(user_id);
    if (head.incarnation == 0) head.incarnation = ++incarnations_;
    for (uint64_t i = 0; i < count; ++i) {
      const uint64_t n = ++head.last_sequence;
      const v1::Event event = MakeEvent(*bundle_, user_id, n);
      LoggedEvent logged;
      logged.item_id = event.item_id();
      logged.action = event.action();
      logged.time_us = kEpochUs + time_us + static_cast<int64_t>(n);
      logged.features = {event.features().begin(), event.features().end()};
      head.last_event_time_us =
          std::max(head.last_event_time_us, logged.time_us);
      append.events.push_back(std::move(logged));
    }
    ASSERT_TRUE(store_.AppendEvents(absl::MakeConstSpan(&append, 1)).ok());
  }

  uint64_t AppendAll() {
    uint64_t events = 0;
    for (int i = 0; i < kUsers; ++i) {
      Append(User(i), NumEvents(i));
      events += NumEvents(i);
    }
    return events;
  }

  // To the end.
  Migration::Progress Migrate(uint64_t max_behind) {
    Migration migration(memory_, store_, {1.0, max_behind});
    migration.Await();
    return migration.progress();
  }

  std::string StoredState(const std::string& user) {
    const auto snapshot = store_.GetSnapshot(Fingerprint(), user);
    return snapshot.ok() && snapshot->has_value() ? (*snapshot)->state : "";
  }

  const std::shared_ptr<const Bundle> bundle_ = LoadGolden(GoldenModel());
  const std::shared_ptr<const Engine> engine_ = *Engine::Create(bundle_);
  const LoadedModelPtr model_ = AsLoaded(engine_);
  uint64_t incarnations_ = 0;
  FaultyStateStore store_;
  Metrics metrics_;
  std::unique_ptr<UserStates> states_;
  std::shared_ptr<UserMemory> memory_;
};

TEST_F(MigrationTest, StatesHaveTheBitsOfAFreshFold) {
  const uint64_t events = AppendAll();
  const Migration::Progress progress = Migrate(0);
  EXPECT_EQ(progress.phase, Phase::kDone);
  EXPECT_EQ(progress.users, kUsers);
  EXPECT_EQ(progress.covered_users, kUsers);
  EXPECT_EQ(progress.coverage(), 1);
  EXPECT_EQ(progress.folded_events, events);
  EXPECT_EQ(progress.events_left, 0);
  EXPECT_EQ(progress.failed_users + progress.trimmed_users, 0);
  EXPECT_EQ(*progress.time_left, absl::ZeroDuration());
  for (int i = 0; i < kUsers; ++i) {
    EXPECT_EQ(StoredState(User(i)), *FreshFold(*engine_, store_, User(i)))
        << User(i);
  }
}

TEST_F(MigrationTest, WhoHasFewEventsLeftIsCoveredAsTheyAre) {
  AppendAll();
  const Migration::Progress progress = Migrate(100);
  EXPECT_EQ(progress.covered_users, kUsers);
  for (int i = 0; i < kUsers; ++i) {
    EXPECT_EQ(StoredState(User(i)).empty(), NumEvents(i) <= 100) << User(i);
  }
}

TEST_F(MigrationTest, WhatIsDoneIsNotDoneAgain) {
  AppendAll();
  Migrate(0);
  Restart();
  std::map<std::string, int> looks;
  store_.before_get_head = [&](absl::string_view user_id) {
    ++looks[std::string(user_id)];
    return absl::OkStatus();
  };
  EXPECT_EQ(Migrate(0).folded_events, 0);
  // A look reads a snapshot.
  EXPECT_EQ(looks.size(), kUsers);
  for (const auto& [user, count] : looks) EXPECT_EQ(count, 1) << user;
  store_.before_get_head = nullptr;

  Append(User(7), 100);
  Restart();
  const Migration::Progress progress = Migrate(0);
  EXPECT_EQ(progress.folded_events, 100);
  EXPECT_EQ(progress.covered_users, kUsers);
  EXPECT_EQ(StoredState(User(7)), *FreshFold(*engine_, store_, User(7)));
}

TEST_F(MigrationTest, WhoWasActiveLastIsFirst) {
  constexpr int64_t kTwoMonthsUs = int64_t{60} * 24 * 3600 * 1'000'000;
  for (int i = 0; i < 20; ++i) Append(absl::StrCat("old-", i), 200);
  for (int i = 0; i < 3; ++i) {
    Append(absl::StrCat("young-", i), 200, kTwoMonthsUs);
  }
  // Rests a thousand times as long as it works: it will not come much further.
  Migration migration(memory_, store_, {0.001, 0});
  while (migration.progress().covered_users < 3) {
    absl::SleepFor(absl::Milliseconds(1));
  }
  migration.Stop();
  EXPECT_EQ(migration.progress().phase, Phase::kStopped);
  const uint64_t covered = migration.progress().covered_users;
  EXPECT_LT(covered, 13);
  ASSERT_TRUE(states_->AwaitSnapshots().ok());
  for (int i = 0; i < 3; ++i) {
    EXPECT_FALSE(StoredState(absl::StrCat("young-", i)).empty());
  }
  uint64_t old = 0;
  for (int i = 0; i < 20; ++i) {
    old += !StoredState(absl::StrCat("old-", i)).empty();
  }
  EXPECT_EQ(old, covered - 3);
}

TEST_F(MigrationTest, AnErasedUserStaysErased) {
  AppendAll();
  bool erased = false;
  store_.after_read_events = [&] {
    if (!std::exchange(erased, true)) {
      ASSERT_TRUE(store_.DeleteUser(User(20), {}).ok());
    }
  };
  const Migration::Progress progress = Migrate(0);
  EXPECT_EQ(progress.phase, Phase::kDone);
  EXPECT_EQ(progress.failed_users, 0);
  EXPECT_EQ(StoredState(User(20)), "");
  EXPECT_EQ(StoredState(User(21)), *FreshFold(*engine_, store_, User(21)));
}

TEST_F(MigrationTest, WhoIsErasedAndComesAgainIsTakenAgain) {
  Append("long", 3000);
  Append("other", 10);
  std::string seen;
  store_.before_get_head = [&](absl::string_view user_id) {
    seen = std::string(user_id);
    return absl::OkStatus();
  };
  bool erased = false;
  store_.after_read_events = [&] {
    if (seen != "long" || std::exchange(erased, true)) return;
    ASSERT_TRUE(store_.DeleteUser("long", {}).ok());
    Append("long", 100);
  };
  const Migration::Progress progress = Migrate(0);
  EXPECT_TRUE(erased);
  EXPECT_EQ(progress.failed_users + progress.trimmed_users, 0);
  EXPECT_EQ(StoredState("long"), *FreshFold(*engine_, store_, "long"));
}

TEST_F(MigrationTest, ATrimmedLogIsCountedAndTheOthersGoOn) {
  AppendAll();
  // Another model stood for what was trimmed.
  ASSERT_TRUE(store_.OpenFingerprint("other").ok());
  const uint64_t incarnation = store_.GetHead(User(9))->incarnation;
  ASSERT_TRUE(store_.PutSnapshot("other", User(9),
                                 {incarnation, 30, "a state", 1}).ok());
  ASSERT_TRUE(store_.TrimLog(User(9), 31, {{"other"}}).ok());
  const Migration::Progress progress = Migrate(0);
  EXPECT_EQ(progress.phase, Phase::kDone);
  EXPECT_EQ(progress.trimmed_users, 1);
  EXPECT_EQ(progress.covered_users, kUsers - 1);
  EXPECT_EQ(StoredState(User(9)), "");
}

TEST_F(MigrationTest, TheEndIsToldOfAStoreThatFailsToo) {
  AppendAll();
  std::vector<Migration::Progress> told;
  for (const bool fails : {true, false}) {
    store_.before_get_head = [fails](absl::string_view) {
      return fails ? absl::UnavailableError("no disk") : absl::OkStatus();
    };
    Migration migration(memory_, store_, {1.0, 0},
                        [&](const Migration::Progress& progress) {
                          told.push_back(progress);
                        });
    migration.Await();
  }
  ASSERT_EQ(told.size(), 2);
  EXPECT_EQ(told[0].phase, Phase::kFailed);
  EXPECT_EQ(told[0].status, absl::UnavailableError("no disk"));
  EXPECT_EQ(told[0].covered_users, 0);
  EXPECT_EQ(told[1].phase, Phase::kDone);
  EXPECT_EQ(told[1].covered_users, kUsers);
}

// Those of the models of one server.
class MigrationsTest : public MigrationTest {
 protected:
  Migration::Progress AwaitEnd(const Migrations& migrations) {
    while (true) {
      const auto progress = migrations.Of(model_->id);
      if (!progress || progress->phase > Phase::kFolding) return *progress;
      absl::SleepFor(absl::Milliseconds(1));
    }
  }
};

TEST_F(MigrationsTest, AModelHasOneAndItsEndIsCounted) {
  AppendAll();
  Migrations migrations(*states_, store_, metrics_, {1.0, 0});
  EXPECT_EQ(migrations.Of(model_->id), std::nullopt);
  migrations.Begin(model_);
  migrations.Begin(model_);
  EXPECT_EQ(AwaitEnd(migrations).covered_users, kUsers);
  EXPECT_EQ(metrics_.migration.begun.Value(), 1);
  migrations.End(*model_);  // waits for its thread, which counts last
  EXPECT_EQ(metrics_.migration.done.Value(), 1);
  EXPECT_EQ(metrics_.migration.failed.Value(), 0);
  EXPECT_EQ(migrations.Of(model_->id), std::nullopt);
}

TEST_F(MigrationsTest, OneWaitsForWhatIsServed) {
  AppendAll();
  std::atomic<bool> served = true;
  std::atomic<int> looks = 0;
  Migrations migrations(*states_, store_, metrics_, {1.0, 0}, [&] {
    // Four looks of it, and four without.
    if (++looks % 4 == 0) served = !served;
    return served.load();
  });
  migrations.Begin(model_);
  EXPECT_EQ(AwaitEnd(migrations).covered_users, kUsers);
  EXPECT_GT(looks, 4);
}

TEST_F(MigrationsTest, OneOfAModelThatGoesStops) {
  AppendAll();
  Migrations migrations(*states_, store_, metrics_, {0.001, 0});
  migrations.Begin(model_);
  migrations.End(*model_);
  EXPECT_EQ(migrations.Of(model_->id), std::nullopt);
  EXPECT_EQ(metrics_.migration.done.Value() + metrics_.migration.failed.Value(),
            0);
}

}  // namespace
}  // namespace qlarank::testing
