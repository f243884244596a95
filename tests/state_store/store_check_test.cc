// Verifying and repairing stores that were really damaged.
#include "state_store/store_check.h"

#include <algorithm>
#include <filesystem>
#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "state_store/keys.h"
#include "state_store/partition_hash.h"
#include "state_store/partition_position.h"
#include "state_store/record_names.h"
#include "state_store/records.h"
#include "state_store/rocksdb_state_store.h"
#include "state_store/store_repair.h"
#include "tests/state_store/damage.h"
#include "tests/state_store/store_testing.h"

namespace qlarank {
namespace {

namespace fs = std::filesystem;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

constexpr size_t kNoLimit = std::numeric_limits<size_t>::max();
constexpr auto kDataLoss = absl::StatusCode::kDataLoss;
constexpr char kF[] = "f1e2d3";
constexpr char kG[] = "a0b1c2";
constexpr char kU[] = "ursula";
constexpr char kNeighbour[] = "neighbour";

std::string ToText(const StoreProblem& problem) {
  return absl::StrCat(problem.column_family, " ", problem.user_hash, " ",
                      problem.what);
}

class StoreCheckTest : public testing::Test {
 protected:
  StoreCheckTest() : path_(folder_ / "store") {}

  std::unique_ptr<StateStore> Open(const std::string& path) {
    auto store = OpenRocksDbStateStore(SmallOptions(path));
    EXPECT_THAT(store, IsOk());
    return store.ok() ? *std::move(store) : nullptr;
  }

  // Two users with ten events and two snapshots each.
  void Fill() {
    const auto store = Open(path_);
    ASSERT_THAT(store->OpenFingerprint(kF), IsOk());
    ASSERT_THAT(store->OpenFingerprint(kG), IsOk());
    for (const std::string user : {kU, kNeighbour}) {
      ASSERT_THAT(store->AppendEvents({MakeAppend(user, 1, 10)}), IsOk());
      ASSERT_THAT(store->PutSnapshot(kF, user, MakeSnapshot(user, 8)), IsOk());
      ASSERT_THAT(store->PutSnapshot(kG, user, MakeSnapshot(user, 4)), IsOk());
    }
    ASSERT_THAT(store->Flush(), IsOk());
  }

  // Many users, so that every column family has many blocks.
  static constexpr int kMany = 300;
  static std::string Many(int i) { return absl::StrCat("many", i); }
  void FillMany() {
    const auto store = Open(path_);
    ASSERT_THAT(store->OpenFingerprint(kF), IsOk());
    for (int i = 0; i < kMany; ++i) {
      ASSERT_THAT(store->AppendEvents({MakeAppend(Many(i), 1, 20)}), IsOk());
      Snapshot snapshot = MakeSnapshot(Many(i), 16);
      snapshot.state.resize(1000, 'x');
      ASSERT_THAT(store->PutSnapshot(kF, Many(i), snapshot), IsOk());
    }
    ASSERT_THAT(store->Flush(), IsOk());
  }

  void FlipByte(const std::string& column_family, const std::string& key,
                size_t position) {
    RawDatabase raw(path_);
    std::string value = raw.Get(column_family, key);
    value.at(position) ^= 0x20;
    raw.Put(column_family, key, value);
  }

  // What is said of the store, a line for each problem.
  std::vector<std::string> Verify(const std::string& path) {
    std::vector<std::string> problems;
    const auto totals = VerifyStore(path, [&](const StoreProblem& problem) {
      problems.push_back(ToText(problem));
    });
    EXPECT_THAT(totals, IsOk());
    if (!totals.ok()) return problems;
    EXPECT_EQ(totals->problems, problems.size());
    return problems;
  }

  // Repairs the store into "repaired" and opens that.
  std::unique_ptr<StateStore> Repair(RepairTotals* totals = nullptr) {
    said_.clear();
    const auto repaired = RepairStore(
        path_, folder_ / "repaired",
        [&](const StoreProblem& problem) { said_.push_back(ToText(problem)); });
    EXPECT_THAT(repaired, IsOk());
    if (!repaired.ok()) return nullptr;
    if (totals != nullptr) *totals = *repaired;
    EXPECT_FALSE(fs::exists(folder_ / "repaired.repairing"));
    EXPECT_FALSE(fs::exists(folder_ / "repaired.files"));
    return Open(folder_ / "repaired");
  }

  void ExpectWell(const StateStore& store, const std::string& user) {
    EXPECT_THAT(store.GetHead(user),
                IsOkAndHolds(MakeAppend(user, 1, 10).head_after));
    EXPECT_THAT(store.ReadEvents(user, 1, kNoLimit),
                IsOkAndHolds(MakeAppend(user, 1, 10).events));
    EXPECT_THAT(store.GetSnapshot(kF, user),
                IsOkAndHolds(std::optional(MakeSnapshot(user, 8))));
    EXPECT_THAT(store.GetSnapshot(kG, user),
                IsOkAndHolds(std::optional(MakeSnapshot(user, 4))));
  }

  TempFolder folder_;
  const std::string path_;
  const std::string u_hash_ = UserHashHex(kU);
  std::vector<std::string> said_;  // of the last repair
};

TEST_F(StoreCheckTest, AHealthyStoreIsFoundSoAndIsNotChanged) {
  Fill();
  {
    // A store as a server leaves it that was killed: events in the WAL alone.
    const auto store = Open(path_);
    ASSERT_THAT(store->AppendEvents({MakeAppend("late", 1, 7)}), IsOk());
    fs::copy(path_, folder_ / "killed", fs::copy_options::recursive);
  }
  const auto files = [&] {
    std::map<std::string, std::pair<uintmax_t, fs::file_time_type>> found;
    for (const auto& file : fs::directory_iterator(folder_ / "killed")) {
      found[file.path()] = {file.file_size(), file.last_write_time()};
    }
    return found;
  };
  const auto before = files();
  const auto totals = VerifyStore(folder_ / "killed", [](const auto& problem) {
    ADD_FAILURE() << ToText(problem);
  });
  ASSERT_THAT(totals, IsOk());
  EXPECT_EQ(totals->users, 3u);
  EXPECT_EQ(totals->events, 27u);
  EXPECT_EQ(totals->snapshots, 4u);
  EXPECT_GE(totals->table_files, 4u);
  EXPECT_EQ(totals->problems, 0u);
  EXPECT_EQ(files(), before);
}

TEST_F(StoreCheckTest, NamesDamagedRecordsByColumnFamilyAndHash) {
  Fill();
  FlipByte("log", LogKey(kU, 7), 9);
  FlipByte(absl::StrCat("state-", kG), UserKey(kU), 30);
  const auto problems = Verify(path_);
  EXPECT_THAT(problems,
              ElementsAre(absl::StrCat("log ", u_hash_, " event 7 of user ",
                                       u_hash_, ": checksum mismatch in a "
                                                "record of 46 bytes"),
                          HasSubstr(absl::StrCat("state-a0b1c2 ", u_hash_,
                                                 " snapshot of user ", u_hash_,
                                                 " under fingerprint"))));
  EXPECT_THAT(problems, Not(Contains(HasSubstr(kU))));
}

TEST_F(StoreCheckTest, NoticesWhatIsWrongBetweenRecords) {
  struct Case {
    std::string name;
    std::function<void(RawDatabase&)> damage;
    std::string problem;
  };
  const std::string states = absl::StrCat("state-", kF);
  const std::string key = UserKey(kU);
  const auto put_head = [&](const std::function<void(UserHead&)>& change) {
    return [key, change](RawDatabase& raw) {
      UserHead head = MakeAppend(kU, 1, 10).head_after;
      change(head);
      raw.Put("heads", key, EncodeHead(key, head));
    };
  };
  const auto put_snapshot = [&](uint64_t sequence, uint64_t incarnation) {
    return [=](RawDatabase& raw) {
      raw.Put(states, key,
              EncodeSnapshot(key, kF, MakeSnapshot(kU, sequence, incarnation)));
    };
  };
  const std::vector<Case> cases = {
      {"a missing event",
       [](RawDatabase& raw) { raw.Delete("log", LogKey(kU, 5)); },
       "log H event 5 of user H: missing"},
      {"a missing last event",
       [](RawDatabase& raw) { raw.Delete("log", LogKey(kU, 10)); },
       "log H event 10 of user H: missing"},
      {"an event too many",
       [](RawDatabase& raw) {
         const std::string log_key = LogKey(kU, 11);
         raw.Put("log", log_key, EncodeEvent(log_key, MakeEvent(kU, 11)));
       },
       "log H event 11 of user H: found in the log, but not counted"},
      {"a lost head",
       [=](RawDatabase& raw) { raw.Delete("heads", key); },
       "log H event 1 of user H: found in the log, but not counted"},
      {"a watermark too low",
       put_head([](UserHead& head) { head.watermarks["test"] = 9; }),
       "heads H the watermark of source \"test\" is 9, its newest event has "
       "10"},
      {"a watermark of nothing",
       put_head([](UserHead& head) { head.watermarks["other"] = 3; }),
       "heads H the watermark of source \"other\" is 3, it has no event"},
      {"a snapshot ahead", put_snapshot(11, 7),
       "state-f1e2d3 H a snapshot of 11 events, the log has 10"},
      // G's snapshot is of 4 events: it needs the fifth next.
      {"a snapshot behind a trimmed log",
       [=](RawDatabase& raw) {
         put_head([](UserHead& head) { head.first_sequence = 6; })(raw);
         for (uint64_t n = 1; n < 6; ++n) raw.Delete("log", LogKey(kU, n));
       },
       "state-a0b1c2 H a snapshot of 4 events, the log begins at 6"},
      {"an event of a schema that is not there",
       [](RawDatabase& raw) {
         const std::string log_key = LogKey(kU, 5);
         LoggedEvent event = MakeEvent(kU, 5);
         event.schema = 3;
         raw.Put("log", log_key, EncodeEvent(log_key, event));
       },
       "log H events of schema 3, the store has 0"},
      {"a damaged schema",
       [](RawDatabase& raw) { raw.Put("default", SchemaKey(1), "nonsense"); },
       "default  record of schema 1: checksum mismatch"},
      {"a snapshot of a former life", put_snapshot(8, 6),
       "state-f1e2d3 H a snapshot of an erased user"},
      {"a stray key", [](RawDatabase& raw) { raw.Put("heads", "stray", "x"); },
       "heads  a key that is no user's: 7374726179"},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.name);
    fs::remove_all(path_);
    Fill();
    {
      RawDatabase raw(path_);
      c.damage(raw);
    }
    std::string expected = c.problem;
    for (size_t at; (at = expected.find('H')) != std::string::npos;) {
      expected.replace(at, 1, u_hash_);
    }
    EXPECT_THAT(Verify(path_), Contains(HasSubstr(expected)));
  }
}

TEST_F(StoreCheckTest, RefusesWhatItMustNotLookAt) {
  EXPECT_THAT(VerifyStore(folder_ / "nothing", nullptr),
              IsStatus(absl::StatusCode::kNotFound, "there is none"));
  EXPECT_FALSE(fs::exists(folder_ / "nothing"));
  Fill();
  const auto store = Open(path_);
  EXPECT_THAT(VerifyStore(path_, nullptr),
              IsStatus(absl::StatusCode::kFailedPrecondition,
                       "look at a checkpoint instead"));
  EXPECT_THAT(RepairStore(path_, folder_ / "repaired", nullptr),
              IsStatus(absl::StatusCode::kFailedPrecondition, "is open"));
  EXPECT_THAT(store->Checkpoint(folder_ / "checkpoint"), IsOk());
  EXPECT_THAT(Verify(folder_ / "checkpoint"), IsEmpty());
  EXPECT_THAT(RepairStore(folder_ / "checkpoint", path_, nullptr),
              IsStatus(absl::StatusCode::kAlreadyExists, "something is there"));
}

// -- Repairing ----------------------------------------------------------------

TEST_F(StoreCheckTest, RepairCopiesAHealthyStore) {
  Fill();
  RepairTotals totals;
  const auto repaired = Repair(&totals);
  ExpectWell(*repaired, kU);
  ExpectWell(*repaired, kNeighbour);
  EXPECT_THAT(said_, IsEmpty());
  EXPECT_EQ(totals.users, 2u);
  EXPECT_EQ(totals.events, 20u);
  EXPECT_EQ(totals.snapshots, 4u);
  EXPECT_EQ(totals.snapshots_dropped, 0u);
  EXPECT_EQ(totals.users_unrepaired, 0u);
}

// A complete source's events need no watermark, in a repaired store neither.
TEST_F(StoreCheckTest, MarksStandForWatermarks) {
  Fill();
  {
    const auto store = Open(path_);
    UserAppend append = MakeAppend(kU, 11, 11);
    append.head_after.watermarks.clear();
    ASSERT_THAT(store->AppendEvents({append}), IsOk());
  }
  EXPECT_THAT(Verify(path_), ElementsAre(HasSubstr("its newest event has")));
  {
    const auto store = Open(path_);
    ASSERT_THAT(store->PutSourceMark("test", {11, "digest"}), IsOk());
  }
  EXPECT_THAT(Verify(path_), IsEmpty());
  const auto repaired = Repair();
  EXPECT_THAT(said_, IsEmpty());
  EXPECT_THAT(repaired->GetSourceMark("test"),
              IsOkAndHolds(std::optional(SourceMark{11, "digest"})));
}

TEST_F(StoreCheckTest, ADamagedMarkIsNamedAndRepairLeavesItOut) {
  Fill();
  {
    const auto store = Open(path_);
    ASSERT_THAT(store->PutSourceMark("day-1", {10, ""}), IsOk());
    ASSERT_THAT(store->PutSourceMark("day-2", {20, ""}), IsOk());
  }
  FlipByte("default", SourceMarkKey("day-1"), 5);
  EXPECT_THAT(Verify(path_),
              ElementsAre(HasSubstr("mark of source \"day-1\": checksum")));
  EXPECT_THAT(Open(path_)->ForEachSourceMark([](auto, const auto&) {}),
              IsStatus(kDataLoss, "day-1"));
  const auto repaired = Repair();
  EXPECT_THAT(said_, ElementsAre(HasSubstr("mark it again")));
  EXPECT_THAT(repaired->GetSourceMark("day-1"), IsOkAndHolds(std::nullopt));
  EXPECT_THAT(repaired->GetSourceMark("day-2"),
              IsOkAndHolds(std::optional(SourceMark{20, ""})));
}

TEST_F(StoreCheckTest, TellsThePartitions) {
  Fill();
  const auto totals = VerifyStore(path_, [](const auto&) {});
  ASSERT_THAT(totals, IsOk());
  EXPECT_EQ(totals->partitions, 16u);
}

// Users as an owner writes them: the only ones of their partitions, whose events
// are counted.
class CountedStoreTest : public StoreCheckTest {
 protected:
  CountedStoreTest() {
    RocksDbOptions options = SmallOptions(path_);
    options.partitions = kPartitions;
    auto store = OpenRocksDbStateStore(options);
    EXPECT_THAT(store, IsOk());
    EXPECT_THAT((*store)->AppendEvents(
                    {MakeAppend(kU, 1, 10, 1), MakeAppend(kNeighbour, 1, 4, 1)},
                    {Position(kU, 10), Position(kNeighbour, 4), {"else", "!"}}),
                IsOk());
    EXPECT_THAT((*store)->Flush(), IsOk());
    EXPECT_NE(PartitionOf(kU, kPartitions),
              PartitionOf(kNeighbour, kPartitions));
  }

  static Mark Position(const std::string& user, uint64_t position) {
    return PositionMark(PartitionOf(user, kPartitions), kPartitions, position);
  }
  void PutMark(const Mark& mark) {
    const std::string key = MarkKey(mark.name);
    RawDatabase(path_).Put("default", key, EncodeMark(key, mark.value));
  }
  void PutHead(uint64_t incarnation) {
    const std::string key = UserKey(kU);
    RawDatabase(path_).Put(
        "heads", key,
        EncodeHead(key, MakeAppend(kU, 1, 10, incarnation).head_after));
  }
  static std::optional<std::string> Value(const Mark& mark) {
    return mark.value;
  }

  static constexpr uint32_t kPartitions = 8;
  const std::string mark_of_u_ = MarkName(Position(kU, 10).name);
};

TEST_F(CountedStoreTest, AHealthyOneIsFoundSoAndRepairedWithItsMarks) {
  EXPECT_THAT(Verify(path_), IsEmpty());
  const auto before = Open(path_)->ListMarks();
  auto repaired = Repair();
  EXPECT_THAT(said_, IsEmpty());
  EXPECT_EQ(repaired->num_partitions(), kPartitions);
  EXPECT_THAT(repaired->ListMarks(), IsOkAndHolds(*before));
  repaired.reset();
  EXPECT_THAT(Verify(folder_ / "repaired"), IsEmpty());
}

TEST_F(CountedStoreTest, ADamagedMarkIsFoundAndRepairLeavesItOut) {
  FlipByte("default", MarkKey("else"), 5);
  EXPECT_THAT(Verify(path_),
              ElementsAre(HasSubstr("mark \"else\": checksum")));
  EXPECT_THAT(Open(path_)->GetMark("else"), IsStatus(kDataLoss, "\"else\""));
  const auto repaired = Repair();
  EXPECT_THAT(said_, ElementsAre(HasSubstr("left out")));
  EXPECT_THAT(repaired->GetMark("else"), IsOkAndHolds(std::nullopt));
  EXPECT_THAT(repaired->GetMark(Position(kU, 10).name),
              IsOkAndHolds(Value(Position(kU, 10))));
}

TEST_F(CountedStoreTest, ADamagedPositionIsFoundAndMadeAnew) {
  FlipByte("default", MarkKey(Position(kU, 10).name), 5);
  EXPECT_THAT(Verify(path_), ElementsAre(HasSubstr("checksum")));
  auto repaired = Repair();
  EXPECT_THAT(said_, ElementsAre(HasSubstr("made anew of its users, 10")));
  EXPECT_THAT(repaired->GetMark(Position(kU, 10).name),
              IsOkAndHolds(Value(Position(kU, 10))));
  repaired.reset();
  EXPECT_THAT(Verify(folder_ / "repaired"), IsEmpty());
}

TEST_F(CountedStoreTest, APositionBehindItsUsersIsFoundAndRaised) {
  PutMark(Position(kU, 9));
  EXPECT_THAT(Verify(path_), ElementsAre(HasSubstr(absl::StrCat(
                                 "heads ", u_hash_,
                                 " incarnation 1 and 10 events, but partition ",
                                 PartitionOf(kU, kPartitions), " has had 9"))));
  auto repaired = Repair();
  EXPECT_THAT(said_, ElementsAre(HasSubstr("behind its users")));
  repaired.reset();
  EXPECT_THAT(Verify(folder_ / "repaired"), IsEmpty());
}

TEST_F(CountedStoreTest, AnIncarnationAheadOfItsPartitionIsFound) {
  PutHead(2);
  EXPECT_THAT(Verify(path_), ElementsAre(HasSubstr("incarnation 2 and 10")));
  Repair();
  EXPECT_THAT(said_, ElementsAre(HasSubstr("made anew of its users, 11")));
}

TEST_F(CountedStoreTest, AMarkOfOtherPartitionsIsFoundAndLeftOut) {
  PutMark(PositionMark(3, 16, 5));
  EXPECT_THAT(Verify(path_), ElementsAre(HasSubstr("there are 8 partitions")));
  const auto repaired = Repair();
  EXPECT_THAT(said_, ElementsAre(HasSubstr("left out")));
  EXPECT_THAT(repaired->GetMark("partition 3 of 16"),
              IsOkAndHolds(std::nullopt));
}

// Their life goes on behind all others of the partition.
TEST_F(CountedStoreTest, AHeadMadeAnewTakesTheNextIncarnation) {
  RawDatabase(path_).Delete("heads", UserKey(kU));
  const auto repaired = Repair();
  EXPECT_EQ(repaired->GetHead(kU)->incarnation, 11u);
  EXPECT_THAT(repaired->GetMark(Position(kU, 10).name),
              IsOkAndHolds(Value(Position(kU, 20))));
}

TEST_F(CountedStoreTest, TheFormatRecordIsMadeAnewOfTheMarks) {
  for (const bool damaged : {true, false}) {
    fs::remove_all(folder_ / "repaired");
    if (damaged) {
      FlipByte("default", "qlarank format", 25);
    } else {
      RawDatabase(path_).Delete("default", "qlarank format");
    }
    if (damaged) {
      EXPECT_THAT(Verify(path_),
                  ElementsAre(HasSubstr("format record is damaged")));
    }
    auto repaired = Repair();
    ASSERT_NE(repaired, nullptr);
    EXPECT_EQ(repaired->num_partitions(), kPartitions);
    repaired.reset();
    EXPECT_THAT(Verify(folder_ / "repaired"), IsEmpty());
  }
}

TEST_F(StoreCheckTest, RepairLeavesDamagedSnapshotsOut) {
  Fill();
  FlipByte(absl::StrCat("state-", kF), UserKey(kU), 30);
  RepairTotals totals;
  auto repaired = Repair(&totals);
  EXPECT_EQ(totals.snapshots_dropped, 1u);
  EXPECT_EQ(totals.users_unrepaired, 0u);
  EXPECT_THAT(repaired->GetSnapshot(kF, kU),
              IsOkAndHolds(std::optional<Snapshot>()));
  EXPECT_THAT(repaired->GetSnapshot(kG, kU),
              IsOkAndHolds(std::optional(MakeSnapshot(kU, 4))));
  EXPECT_THAT(repaired->ReadEvents(kU, 1, kNoLimit),
              IsOkAndHolds(MakeAppend(kU, 1, 10).events));
  ExpectWell(*repaired, kNeighbour);
  repaired.reset();
  EXPECT_THAT(Verify(folder_ / "repaired"), IsEmpty());
}

TEST_F(StoreCheckTest, RepairLeavesOutSnapshotsThatAreNotOfTheLog) {
  for (const auto& [snapshot, why] :
       {std::pair(MakeSnapshot(kU, 8, /*incarnation=*/6), "of an erased user"),
        std::pair(MakeSnapshot(kU, 11), "of 11 events, the log has 10")}) {
    SCOPED_TRACE(why);
    fs::remove_all(path_);
    fs::remove_all(folder_ / "repaired");
    Fill();
    const std::string key = UserKey(kU);
    RawDatabase(path_).Put(absl::StrCat("state-", kF), key,
                           EncodeSnapshot(key, kF, snapshot));
    RepairTotals totals;
    const auto repaired = Repair(&totals);
    EXPECT_EQ(totals.snapshots_dropped, 1u);
    EXPECT_THAT(said_, ElementsAre(HasSubstr(why)));
    EXPECT_THAT(repaired->GetSnapshot(kF, kU),
                IsOkAndHolds(std::optional<Snapshot>()));
    EXPECT_THAT(repaired->GetSnapshot(kG, kU),
                IsOkAndHolds(std::optional(MakeSnapshot(kU, 4))));
    ExpectWell(*repaired, kNeighbour);
  }
}

TEST_F(StoreCheckTest, RepairLeavesOutSnapshotsBehindATrimmedLog) {
  Fill();
  {
    RawDatabase raw(path_);
    const std::string key = UserKey(kU);
    UserHead head = MakeAppend(kU, 1, 10).head_after;
    head.first_sequence = 6;
    raw.Put("heads", key, EncodeHead(key, head));
    for (uint64_t n = 1; n < 6; ++n) raw.Delete("log", LogKey(kU, n));
  }
  RepairTotals totals;
  const auto repaired = Repair(&totals);
  EXPECT_EQ(totals.snapshots_dropped, 1u);
  EXPECT_THAT(said_, ElementsAre(HasSubstr(
                         "of 4 events, the log begins at 6; left out")));
  EXPECT_THAT(repaired->GetSnapshot(kF, kU),
              IsOkAndHolds(std::optional(MakeSnapshot(kU, 8))));
  EXPECT_THAT(repaired->GetSnapshot(kG, kU),
              IsOkAndHolds(std::optional<Snapshot>()));
}

TEST_F(StoreCheckTest, RepairKeepsSchemas) {
  Fill();
  ASSERT_THAT(Open(path_)->PutSchema({"price", "rating"}), IsOkAndHolds(1u));
  EXPECT_THAT(Verify(path_), IsEmpty());
  EXPECT_THAT(Repair()->ListSchemas(),
              IsOkAndHolds(std::vector<std::vector<std::string>>{
                  {"price", "rating"}}));
}

TEST_F(StoreCheckTest, RepairMakesALostHeadAnew) {
  for (const bool damaged : {true, false}) {
    fs::remove_all(path_);
    fs::remove_all(folder_ / "repaired");
    Fill();
    if (damaged) {
      FlipByte("heads", UserKey(kU), 8);
    } else {
      RawDatabase(path_).Delete("heads", UserKey(kU));
    }
    RepairTotals totals;
    auto repaired = Repair(&totals);
    EXPECT_EQ(totals.heads_rebuilt, 1u);
    EXPECT_THAT(said_, ElementsAre(HasSubstr("made anew of 10 events")));
    ExpectWell(*repaired, kU);  // their snapshots are used again
    ExpectWell(*repaired, kNeighbour);
    repaired.reset();
    EXPECT_THAT(Verify(folder_ / "repaired"), IsEmpty());
  }
}

TEST_F(StoreCheckTest, RepairKeepsLostEventsNoticed) {
  Fill();
  FlipByte("log", LogKey(kU, 6), 9);
  RepairTotals totals;
  const auto repaired = Repair(&totals);
  EXPECT_EQ(totals.users_unrepaired, 1u);
  EXPECT_THAT(said_, ElementsAre(HasSubstr("event 6: checksum mismatch")));
  EXPECT_THAT(repaired->ReadEvents(kU, 1, kNoLimit),
              IsStatus(kDataLoss, "event 6"));
  // The snapshot of 8 events and what follows it are as good as ever.
  EXPECT_THAT(repaired->GetSnapshot(kF, kU),
              IsOkAndHolds(std::optional(MakeSnapshot(kU, 8))));
  EXPECT_THAT(repaired->ReadEvents(kU, 9, kNoLimit), IsOk());
  ExpectWell(*repaired, kNeighbour);
}

TEST_F(StoreCheckTest, AUserWithoutHeadAndEventsDoesNotBeginAnew) {
  Fill();
  FlipByte("log", LogKey(kU, 6), 9);
  for (const bool damaged : {true, false}) {
    fs::remove_all(folder_ / "repaired");
    if (damaged) {
      FlipByte("heads", UserKey(kU), 8);
    } else {
      RawDatabase(path_).Delete("heads", UserKey(kU));
    }
    RepairTotals totals;
    const auto repaired = Repair(&totals);
    EXPECT_EQ(totals.users_unrepaired, 1u);
    EXPECT_THAT(repaired->GetHead(kU), IsStatus(kDataLoss, "head of user"));
    EXPECT_THAT(repaired->AppendEvents({MakeAppend(kU, 1, 1, 9)}),
                IsStatus(kDataLoss, "head of user"));
    ExpectWell(*repaired, kNeighbour);
    // Erasure ends it.
    EXPECT_THAT(repaired->DeleteUser(kU), IsOkAndHolds(10u));
    EXPECT_THAT(repaired->AppendEvents({MakeAppend(kU, 1, 1, 9)}), IsOk());
  }
}

TEST_F(StoreCheckTest, RepairsAStoreThatRocksDbDoesNotOpen) {
  for (const std::string lost : {"CURRENT", "MANIFEST"}) {
    SCOPED_TRACE(lost);
    fs::remove_all(path_);
    fs::remove_all(folder_ / "repaired");
    Fill();
    for (const auto& file : fs::directory_iterator(path_)) {
      if (file.path().filename().string().rfind(lost, 0) == 0) {
        fs::remove(file.path());
      }
    }
    ASSERT_THAT(OpenRocksDbStateStore(SmallOptions(path_)),
                IsStatus(kDataLoss, ""));
    EXPECT_THAT(VerifyStore(path_, [](const auto&) {}),
                IsStatus(kDataLoss, ""));
    RepairTotals totals;
    auto repaired = Repair(&totals);
    EXPECT_THAT(said_, ElementsAre(HasSubstr(path_),
                                   HasSubstr("RepairDB")));
    EXPECT_TRUE(totals.may_be_incomplete);
    EXPECT_EQ(totals.users, 2u);
    ExpectWell(*repaired, kU);
    ExpectWell(*repaired, kNeighbour);
    repaired.reset();
    EXPECT_THAT(Verify(folder_ / "repaired"), IsEmpty());
  }
}

TEST_F(StoreCheckTest, ABitInATableFileIsFoundAndDoesNotSpoilOthers) {
  FillMany();
  fs::rename(path_, folder_ / "good");
  const auto good = Open(folder_ / "good");
  std::mt19937 random(5);
  int repaired_users = 0, damaged_users = 0, rounds = 0, found_rounds = 0;
  const auto files = FilesOf(folder_ / "good", ".sst");
  for (int round = 0; round < 20; ++round) {
    fs::remove_all(path_);
    fs::remove_all(folder_ / "repaired");
    fs::copy(folder_ / "good", path_, fs::copy_options::recursive);
    const std::string file =
        path_ + "/" +
        fs::path(files[random() % files.size()]).filename().string();
    const uint64_t offset = random() % fs::file_size(file);
    FlipBitOfFile(file, offset, static_cast<int>(random() % 8));
    SCOPED_TRACE(absl::StrCat("bit at ", offset, " of ", file));
    const bool found = !Verify(path_).empty();
    if (found) ++found_rounds;

    RepairTotals totals;
    const auto repaired = Repair(&totals);
    ASSERT_NE(repaired, nullptr);
    ++rounds;
    // A bit that is not found is one of the few that nothing depends on.
    if (!found) {
      EXPECT_EQ(totals.users_unrepaired, 0u);
      EXPECT_EQ(totals.snapshots, kMany);
    }
    for (int i = 0; i < kMany; ++i) {
      const std::string user = Many(i);
      const auto head = repaired->GetHead(user);
      const auto events = repaired->ReadEvents(user, 1, kNoLimit);
      const auto snapshot = repaired->GetSnapshot(kF, user);
      // The truth or DATA_LOSS; a snapshot may be gone.
      if (head.ok()) {
        EXPECT_EQ(head->last_sequence, 20u) << user;
        EXPECT_EQ(head->watermarks, good->GetHead(user)->watermarks);
      } else {
        EXPECT_THAT(head, IsStatus(kDataLoss, ""));
      }
      if (events.ok()) {
        EXPECT_EQ(*events, *good->ReadEvents(user, 1, kNoLimit)) << user;
        ++repaired_users;
      } else {
        EXPECT_THAT(events, IsStatus(kDataLoss, ""));
        ++damaged_users;
      }
      ASSERT_THAT(snapshot, IsOk());
      if (snapshot->has_value()) {
        EXPECT_EQ(*snapshot, *good->GetSnapshot(kF, user));
      }
    }
  }
  EXPECT_EQ(repaired_users + damaged_users, rounds * kMany);
  EXPECT_GE(found_rounds, rounds * 3 / 4);
  // A block holds some users out of many.
  EXPECT_GT(damaged_users, 0);
  EXPECT_LT(damaged_users, rounds * kMany / 4);
}

}  // namespace
}  // namespace qlarank
