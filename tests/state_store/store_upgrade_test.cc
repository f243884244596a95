// Taking stores of format 1 along.
#include "state_store/store_upgrade.h"

#include <filesystem>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "state_store/keys.h"
#include "state_store/partition_hash.h"
#include "state_store/partition_position.h"
#include "state_store/rocksdb_state_store.h"
#include "state_store/store_check.h"
#include "tests/state_store/format1_store.h"
#include "tests/state_store/store_testing.h"

namespace qlarank {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::IsEmpty;

constexpr size_t kNoLimit = std::numeric_limits<size_t>::max();
constexpr auto kDataLoss = absl::StatusCode::kDataLoss;
constexpr char kF[] = "f1e2d3";

class StoreUpgradeTest : public testing::Test {
 protected:
  // Users of a few events each, with incarnations as format 1 had them.
  static constexpr int kUsers = 40;
  static std::string User(int i) { return absl::StrCat("user-", i); }
  static uint64_t Events(int i) { return 1 + i % 7; }
  static uint64_t Incarnation(int i) { return 0x9E3779B97F4A7C15u * (i + 1); }

  void MakeOld() {
    Format1Store old(from_, {kF});
    old.PutDigestKey(std::string(32, 'k'));
    old.PutSchema(1, {"price", "rating"});
    old.PutSchema(2, {"rating", "price"});
    old.PutSourceMark("day-1", {5, "digest"});
    old.PutErasure(1, std::string(16, 'd'), {17, "ann", "request"}, 12);
    for (int i = 0; i < kUsers; ++i) {
      UserAppend append = MakeAppend(User(i), 1, Events(i), Incarnation(i));
      if (i == 1) append.events.front().schema = 2;
      old.PutUser(User(i), append.head_after, append.events);
      old.PutSnapshot(kF, User(i),
                      MakeSnapshot(User(i), Events(i), Incarnation(i)));
    }
    // One whose log was trimmed, and a snapshot of an erased one.
    UserAppend trimmed = MakeAppend("trimmed", 4, 9, 7);
    trimmed.head_after.first_sequence = 4;
    old.PutUser("trimmed", trimmed.head_after, trimmed.events);
    Snapshot snapshot = MakeSnapshot("trimmed", 5);
    snapshot.newest_event_time_us = 0;
    old.PutSnapshot(kF, "trimmed", snapshot);
    old.PutSnapshot(kF, "gone", MakeSnapshot("gone", 3));
  }

  absl::StatusOr<UpgradeTotals> Run(uint32_t partitions = 4) {
    UpgradeOptions options;
    options.partitions = partitions;
    options.on_progress = [this](const UpgradeTotals&) { ++reports_; };
    return UpgradeStore(from_, to_, options);
  }

  std::unique_ptr<StateStore> OpenNew() {
    auto store = OpenRocksDbStateStore(SmallOptions(to_));
    EXPECT_THAT(store, IsOk());
    return store.ok() ? *std::move(store) : nullptr;
  }

  std::map<std::string, fs::file_time_type> Files() {
    std::map<std::string, fs::file_time_type> files;
    for (const auto& file : fs::directory_iterator(from_)) {
      files[file.path()] = file.last_write_time();
    }
    return files;
  }

  // Refused, and nothing is left of the attempt.
  void ExpectRefused(absl::StatusCode code, const std::string& why) {
    EXPECT_THAT(Run(), IsStatus(code, why));
    EXPECT_FALSE(fs::exists(to_));
    EXPECT_FALSE(fs::exists(to_ + ".upgrading"));
  }

  TempFolder folder_;
  const std::string from_ = folder_ / "old";
  const std::string to_ = folder_ / "new";
  int reports_ = 0;
};

TEST_F(StoreUpgradeTest, TakesEverythingAlong) {
  MakeOld();
  const auto before = Files();
  const auto totals = Run();
  ASSERT_THAT(totals, IsOk());
  EXPECT_EQ(Files(), before);
  EXPECT_FALSE(fs::exists(to_ + ".upgrading"));
  uint64_t events = 6;
  for (int i = 0; i < kUsers; ++i) events += Events(i);
  EXPECT_EQ(totals->partitions, 4u);
  EXPECT_EQ(totals->users, kUsers + 1u);
  EXPECT_EQ(totals->events, events);
  EXPECT_EQ(totals->snapshots, kUsers + 1u);
  EXPECT_EQ(totals->snapshots_dropped, 1u);
  EXPECT_EQ(totals->erasures, 1u);
  EXPECT_EQ(totals->source_marks, 1u);
  EXPECT_EQ(totals->schemas, 2u);

  const auto store = OpenNew();
  EXPECT_EQ(store->num_partitions(), 4u);
  for (int i = 0; i < kUsers; ++i) {
    UserAppend expected = MakeAppend(User(i), 1, Events(i));
    for (LoggedEvent& event : expected.events) event.schema = 1;
    if (i == 1) expected.events.front().schema = 2;
    EXPECT_THAT(store->ReadEvents(User(i), 1, kNoLimit),
                IsOkAndHolds(expected.events));
    const auto snapshot = store->GetSnapshot(kF, User(i));
    ASSERT_THAT(snapshot, IsOk());
    ASSERT_TRUE(snapshot->has_value());
    EXPECT_EQ((*snapshot)->state, MakeSnapshot(User(i), Events(i)).state);
    EXPECT_EQ((*snapshot)->folded_sequence, Events(i));
    EXPECT_EQ((*snapshot)->newest_event_time_us, std::nullopt);
  }
  EXPECT_EQ(store->GetHead("trimmed")->first_sequence, 4u);
  EXPECT_EQ(store->ReadEvents("trimmed", 4, kNoLimit)->size(), 6u);
  EXPECT_EQ((*store->GetSnapshot(kF, "trimmed"))->newest_event_time_us, 0);
  EXPECT_THAT(store->GetSnapshot(kF, "gone"), IsOkAndHolds(std::nullopt));
  EXPECT_THAT(store->GetSourceMark("day-1"),
              IsOkAndHolds(std::optional(SourceMark{5, "digest"})));
  EXPECT_EQ(store->ListSchemas()->size(), 2u);
  const auto erasures = store->ListErasures("", kNoLimit);
  ASSERT_THAT(erasures, IsOk());
  ASSERT_EQ(erasures->size(), 1u);
  EXPECT_EQ(erasures->front().note.principal, "ann");
  EXPECT_EQ(erasures->front().events, 12u);
}

// As if they had come one after another, in the order of their keys.
TEST_F(StoreUpgradeTest, NumbersIncarnationsByPosition) {
  MakeOld();
  ASSERT_THAT(Run(), IsOk());
  auto store = OpenNew();
  std::map<std::string, std::string> users;  // by key
  for (int i = 0; i < kUsers; ++i) users[UserKey(User(i))] = User(i);
  users[UserKey("trimmed")] = "trimmed";
  std::vector<uint64_t> positions(4);
  for (const auto& [key, user] : users) {
    const UserHead head = *store->GetHead(user);
    uint64_t& position = positions[PartitionOf(user, 4)];
    EXPECT_EQ(head.incarnation, position + 1) << user;
    position += head.last_sequence;
    EXPECT_EQ((*store->GetSnapshot(kF, user))->incarnation, head.incarnation);
  }
  std::vector<Mark> marks;
  for (uint32_t i = 0; i < 4; ++i) {
    marks.push_back(PositionMark(i, 4, positions[i]));
  }
  EXPECT_THAT(store->ListMarks(), IsOkAndHolds(marks));
  store.reset();
  std::vector<std::string> problems;
  ASSERT_THAT(VerifyStore(to_,
                          [&](const StoreProblem& problem) {
                            problems.push_back(problem.what);
                          }),
              IsOk());
  EXPECT_THAT(problems, IsEmpty());
}

TEST_F(StoreUpgradeTest, SaysHowFarItIs) {
  {
    Format1Store old(from_, {kF});
    for (int i = 0; i < 600; ++i) {
      const UserAppend append = MakeAppend(User(i), 1, 1, 7);
      old.PutUser(User(i), append.head_after, append.events);
    }
  }
  ASSERT_THAT(Run(), IsOk());
  EXPECT_EQ(reports_, 2);
}

TEST_F(StoreUpgradeTest, LeavesEventsWithoutASchemaAsTheyAreWhereThereIsNone) {
  {
    Format1Store old(from_, {});
    const UserAppend append = MakeAppend("u", 1, 2);
    old.PutUser("u", append.head_after, append.events);
  }
  ASSERT_THAT(Run(), IsOk());
  EXPECT_THAT(OpenNew()->ReadEvents("u", 1, kNoLimit),
              IsOkAndHolds(MakeAppend("u", 1, 2).events));
}

TEST_F(StoreUpgradeTest, ReadsWhatIsInTheWalAlone) {
  MakeOld();  // nothing of it was flushed
  fs::copy(from_, folder_ / "killed", fs::copy_options::recursive);
  ASSERT_THAT(UpgradeStore(folder_ / "killed", to_, {}), IsOk());
  EXPECT_EQ(OpenNew()->GetHead(User(0))->last_sequence, Events(0));
}

TEST_F(StoreUpgradeTest, LeavesSnapshotsOutThatAreOfNoUse) {
  {
    Format1Store old(from_, {kF});
    for (const std::string user : {"a", "b", "c"}) {
      const UserAppend append = MakeAppend(user, 1, 5);
      old.PutUser(user, append.head_after, append.events);
    }
    old.PutSnapshot(kF, "a", MakeSnapshot("a", 5, /*incarnation=*/8));
    old.PutSnapshot(kF, "b", MakeSnapshot("b", 6));
    old.Put("state-f1e2d3", UserKey("c"), "damaged");
  }
  const auto totals = Run();
  ASSERT_THAT(totals, IsOk());
  EXPECT_EQ(totals->snapshots, 0u);
  EXPECT_EQ(totals->snapshots_dropped, 3u);
  const auto store = OpenNew();
  for (const std::string user : {"a", "b", "c"}) {
    EXPECT_THAT(store->GetSnapshot(kF, user), IsOkAndHolds(std::nullopt));
  }
}

TEST_F(StoreUpgradeTest, RefusesDamageThatItCannotMakeGood) {
  const std::string key = UserKey(User(3));
  const std::string hash = UserHashHex(User(3));
  MakeOld();
  const auto damage = [&](auto act) {
    fs::remove_all(from_);
    MakeOld();
    // Another opening of the same files.
    Format1Store store(from_, {kF});
    act(store);
  };
  damage([&](Format1Store& s) { s.Put("heads", key, "damaged"); });
  ExpectRefused(kDataLoss, hash + ": head of user " + hash);
  damage([&](Format1Store& s) { s.Delete("heads", key); });
  ExpectRefused(kDataLoss, "found in the log, but not counted");
  damage([&](Format1Store& s) { s.Delete("log", LogKey(User(3), 2)); });
  ExpectRefused(kDataLoss, "event 2 of user " + hash + ": missing");
  damage([&](Format1Store& s) { s.Put("log", LogKey(User(3), 2), "bad"); });
  ExpectRefused(kDataLoss, "repair " + from_ + " with the qlarank that wrote");
  damage([&](Format1Store& s) {
    s.PutUser(User(3), MakeAppend(User(3), 1, 9).head_after, {});
  });
  ExpectRefused(kDataLoss, "missing");
  damage([&](Format1Store& s) { s.Put("default", SourceMarkKey("x"), "bad"); });
  ExpectRefused(kDataLoss, "mark of source \"x\"");
  damage([&](Format1Store& s) { s.Put("default", SchemaKey(1), "bad"); });
  ExpectRefused(kDataLoss, "record of schema 1");
  damage([&](Format1Store& s) { s.Put("default", ErasureKey(1), "bad"); });
  ExpectRefused(kDataLoss, "record of erasure 1");
  damage([&](Format1Store& s) { s.Put("default", "stranger", "bad"); });
  ExpectRefused(kDataLoss, "a record of no kind: stranger");
}

TEST_F(StoreUpgradeTest, RefusesWhatIsNoStoreOfFormat1) {
  constexpr auto kRefused = absl::StatusCode::kFailedPrecondition;
  ExpectRefused(absl::StatusCode::kNotFound, "there is none");
  MakeOld();
  EXPECT_THAT(Run(0), IsStatus(absl::StatusCode::kInvalidArgument,
                               "partitions is 0, not 1 to 4096"));
  {
    Format1Store in_use(from_, {kF});
    ExpectRefused(kRefused, "is open in a process");
    in_use.Put("default", "qlarank format", "qlarank store, format 7");
  }
  ExpectRefused(kRefused, "says \"qlarank store, format 7\"");
  fs::remove_all(from_);
  MakeOld();
  ASSERT_THAT(Run(), IsOk());
  EXPECT_THAT(Run(), IsStatus(absl::StatusCode::kAlreadyExists,
                              "something is there"));
  EXPECT_THAT(UpgradeStore(to_, folder_ / "again", {}),
              IsStatus(kRefused, "is of format 2: there is nothing to"));
}

}  // namespace
}  // namespace qlarank
