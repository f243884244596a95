// What holds for every LogWalk, run over each implementation; and what damage
// does to RocksDB's.
#include "state_store/log_walk.h"

#include <algorithm>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "state_store/keys.h"
#include "tests/state_store/damage.h"
#include "tests/state_store/implementations.h"
#include "tests/state_store/store_testing.h"

namespace qlarank {
namespace {

using testing::ElementsAre;
using testing::Pair;

constexpr char kF[] = "f1e2d3-avx2";

// What a walk gave, in its order, and of whom it reported damage.
struct Walked {
  std::vector<std::string> users;
  std::map<std::string, std::vector<LoggedEvent>> events;
  std::map<std::string, absl::Status> damage;
};

// The rest of a walk, in pieces of `limit` events.
Walked Take(LogWalk& walk, size_t limit = 3) {
  Walked walked;
  while (true) {
    const auto user = walk.NextUser();
    EXPECT_THAT(user, IsOk());
    if (!user.ok() || !user->has_value()) return walked;
    const auto& [user_id, head] = **user;
    walked.users.push_back(user_id);
    if (!head.ok()) {
      walked.damage[user_id] = head.status();
      continue;
    }
    std::vector<LoggedEvent>& events = walked.events[user_id];
    size_t before = 0;
    do {
      before = events.size();
      const absl::Status read =
          walk.Read(head->first_sequence + before, limit, events);
      EXPECT_LE(events.size(), before + limit);
      if (!read.ok()) {
        walked.damage[user_id] = read;
        break;
      }
    } while (events.size() > before);
  }
}

Walked WalkAll(const StateStore& store, const std::string& from = "") {
  auto walk = store.WalkLogs(from);
  EXPECT_THAT(walk, IsOk());
  return Take(**walk);
}

std::vector<LoggedEvent> Events(const std::string& user, uint64_t first,
                                uint64_t last) {
  return MakeAppend(user, first, last).events;
}

class LogWalkTest : public testing::TestWithParam<Implementation> {
 protected:
  void SetUp() override {
    store_ = GetParam().make(folder_);
    ASSERT_NE(store_, nullptr);
    ASSERT_THAT(store_->OpenFingerprint(kF), IsOk());
    for (size_t i = 0; i < users_.size(); ++i) {
      Append(users_[i], 1, 4 + 2 * i);
    }
  }

  void Append(const std::string& user, uint64_t first, uint64_t last,
              uint64_t incarnation = 7) {
    ASSERT_THAT(
        store_->AppendEvents({MakeAppend(user, first, last, incarnation)}),
        IsOk());
  }

  void Trim(const std::string& user, uint64_t first_kept, uint64_t last) {
    ASSERT_THAT(store_->PutSnapshot(kF, user, MakeSnapshot(user, last)),
                IsOk());
    ASSERT_THAT(store_->TrimLog(user, first_kept, {kF}), IsOk());
  }

  // In the order of their keys.
  std::vector<std::string> Sorted() const {
    std::vector<std::string> sorted = users_;
    std::sort(sorted.begin(), sorted.end(),
              [](const auto& a, const auto& b) {
                return UserKey(a) < UserKey(b);
              });
    return sorted;
  }

  const std::vector<std::string> users_ = {"ada", "bob", "cleo",
                                           std::string("d\0e", 3), "用户"};
  TempFolder folder_;
  std::unique_ptr<StateStore> store_;
};

INSTANTIATE_TEST_SUITE_P(All, LogWalkTest, Implementations(),
                         ImplementationName);

TEST_P(LogWalkTest, GivesEveryUsersEventsInTheOrderOfKeys) {
  const Walked walked = WalkAll(*store_);
  EXPECT_EQ(walked.users, Sorted());
  EXPECT_TRUE(walked.damage.empty());
  for (size_t i = 0; i < users_.size(); ++i) {
    EXPECT_EQ(walked.events.at(users_[i]), Events(users_[i], 1, 4 + 2 * i));
  }
}

TEST_P(LogWalkTest, GivesNothingOfAnEmptyStore) {
  for (const std::string& user : users_) {
    ASSERT_THAT(store_->DeleteUser(user), IsOk());
  }
  EXPECT_TRUE(WalkAll(*store_).users.empty());
}

TEST_P(LogWalkTest, BeginsWithAUserWhoNeedNotBeThere) {
  const std::vector<std::string> sorted = Sorted();
  EXPECT_EQ(WalkAll(*store_, sorted[2]).users,
            std::vector<std::string>(sorted.begin() + 2, sorted.end()));
  ASSERT_THAT(store_->DeleteUser(sorted[2]), IsOk());
  EXPECT_EQ(WalkAll(*store_, sorted[2]).users,
            std::vector<std::string>(sorted.begin() + 3, sorted.end()));
  EXPECT_THAT(store_->WalkLogs(std::string(kMaxUserIdBytes + 1, 'x')),
              IsStatus(absl::StatusCode::kInvalidArgument, "65535"));
}

TEST_P(LogWalkTest, ReadsFromASequenceOn) {
  auto walk = store_->WalkLogs("cleo");
  ASSERT_THAT((*walk)->NextUser(), IsOk());
  std::vector<LoggedEvent> events;
  EXPECT_THAT((*walk)->Read(6, 100, events), IsOk());
  EXPECT_THAT((*walk)->Read(2, 2, events), IsOk());  // and back
  EXPECT_THAT((*walk)->Read(9, 100, events), IsOk());
  std::vector<LoggedEvent> expected = Events("cleo", 6, 8);
  for (const LoggedEvent& event : Events("cleo", 2, 3)) {
    expected.push_back(event);
  }
  EXPECT_EQ(events, expected);
}

TEST_P(LogWalkTest, SeesNothingOfWhatIsAppendedAfterItsBeginning) {
  auto walk = store_->WalkLogs("");
  Append("ada", 5, 9);
  Append("new", 1, 3);
  const Walked walked = Take(**walk);
  EXPECT_EQ(walked.users, Sorted());
  EXPECT_EQ(walked.events.at("ada"), Events("ada", 1, 4));
}

TEST_P(LogWalkTest, LeavesOutWhoIsErasedBeforeTheirTurn) {
  auto walk = store_->WalkLogs("");
  ASSERT_THAT((*walk)->NextUser(), IsOk());
  const std::vector<std::string> sorted = Sorted();
  ASSERT_THAT(store_->DeleteUser(sorted[1]), IsOk());
  ASSERT_THAT(store_->DeleteUser(sorted[3]), IsOk());
  Append(sorted[3], 1, 2, 100);  // a new life, later than the walk
  EXPECT_THAT(Take(**walk).users, ElementsAre(sorted[2], sorted[4]));
}

TEST_P(LogWalkTest, BeginsALogWhereItWasTrimmed) {
  Trim("bob", 3, 6);
  auto walk = store_->WalkLogs("");
  Trim("cleo", 5, 8);
  const Walked walked = Take(**walk);
  EXPECT_EQ(walked.events.at("bob"), Events("bob", 3, 6));
  EXPECT_EQ(walked.events.at("cleo"), Events("cleo", 5, 8));
}

TEST_P(LogWalkTest, GivesNothingWhereAllOfItsMomentWasTrimmed) {
  auto walk = store_->WalkLogs("");
  Append("ada", 5, 9);
  Trim("ada", 8, 9);
  const Walked walked = Take(**walk);
  EXPECT_TRUE(walked.events.at("ada").empty());
  EXPECT_TRUE(walked.damage.empty());
}

TEST_P(LogWalkTest, KeepsALogThatIsTrimmedDuringItsTurn) {
  auto walk = store_->WalkLogs("cleo");
  ASSERT_THAT((*walk)->NextUser(), IsOk());
  std::vector<LoggedEvent> events;
  ASSERT_THAT((*walk)->Read(1, 2, events), IsOk());
  Trim("cleo", 8, 8);
  ASSERT_THAT((*walk)->Read(3, 100, events), IsOk());
  EXPECT_EQ(events, Events("cleo", 1, 8));
}

class DamagedLogWalkTest : public testing::Test {
 protected:
  // Three users of ten events each, and then `damage`.
  Walked WalkDamaged(const std::function<void(RawDatabase&)>& damage) {
    {
      auto store = OpenRocksDbStateStore(SmallOptions(path_));
      for (const char* user : {"ada", "bob", "cleo"}) {
        EXPECT_THAT((*store)->AppendEvents({MakeAppend(user, 1, 10)}), IsOk());
      }
    }
    {
      RawDatabase raw(path_);
      damage(raw);
    }
    auto store = OpenRocksDbStateStore(SmallOptions(path_));
    return WalkAll(**store);
  }

  static void ExpectWhole(const Walked& walked, const std::string& user) {
    EXPECT_EQ(walked.events.at(user), Events(user, 1, 10));
    EXPECT_FALSE(walked.damage.contains(user));
  }

  TempFolder folder_;
  const std::string path_ = folder_ / "store";
};

TEST_F(DamagedLogWalkTest, GivesWhatIsBeforeADamagedEventAndGoesOn) {
  const Walked walked = WalkDamaged([](RawDatabase& raw) {
    raw.Put("log", LogKey("bob", 7), "nothing of the kind");
  });
  EXPECT_THAT(walked.damage,
              ElementsAre(Pair("bob", IsStatus(absl::StatusCode::kDataLoss,
                                               "event 7 of user \"bob\""))));
  EXPECT_EQ(walked.events.at("bob"), Events("bob", 1, 6));
  ExpectWhole(walked, "ada");
  ExpectWhole(walked, "cleo");
}

TEST_F(DamagedLogWalkTest, NoticesAMissingEvent) {
  for (const uint64_t missing : {1, 5, 10}) {
    std::filesystem::remove_all(path_);
    const Walked walked = WalkDamaged(
        [&](RawDatabase& raw) { raw.Delete("log", LogKey("bob", missing)); });
    EXPECT_TRUE(absl::IsDataLoss(walked.damage.at("bob")));
    EXPECT_EQ(walked.events.at("bob"), Events("bob", 1, missing - 1));
    ExpectWhole(walked, "ada");
    ExpectWhole(walked, "cleo");
  }
}

TEST_F(DamagedLogWalkTest, GoesOnBehindADamagedHead) {
  const Walked walked = WalkDamaged([](RawDatabase& raw) {
    raw.Put("heads", UserKey("bob"), "no head");
    raw.Put("heads", "no key", "no head");
  });
  EXPECT_THAT(walked.damage.at("bob"),
              IsStatus(absl::StatusCode::kDataLoss, "head of user \"bob\""));
  EXPECT_THAT(walked.damage.at(""),
              IsStatus(absl::StatusCode::kDataLoss, "its key is damaged"));
  ExpectWhole(walked, "ada");
  ExpectWhole(walked, "cleo");
}

}  // namespace
}  // namespace qlarank
