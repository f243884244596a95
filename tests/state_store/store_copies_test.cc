// Checkpoints, backups and restoring them, while the store is written to.
#include "state_store/store_copies.h"

#include <atomic>
#include <filesystem>
#include <fstream>
#include <limits>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/time/clock.h"
#include "gtest/gtest.h"
#include "state_store/memory_state_store.h"
#include "state_store/rocksdb_state_store.h"
#include "tests/state_store/store_testing.h"

namespace qlarank {
namespace {

namespace fs = std::filesystem;

constexpr size_t kNoLimit = std::numeric_limits<size_t>::max();
constexpr char kF[] = "f1e2d3";

std::unique_ptr<StateStore> MustOpen(const std::string& path) {
  auto store = OpenRocksDbStateStore(SmallOptions(path));
  EXPECT_THAT(store, IsOk());
  return store.ok() ? *std::move(store) : nullptr;
}

// Threads that append to users of their own, a few events a call and a snapshot
// now and then, until it is destroyed.
class Load {
 public:
  static constexpr int kThreads = 3;

  explicit Load(StateStore& store) : store_(store) {
    for (int i = 0; i < kThreads; ++i) {
      threads_.emplace_back([this, i] { Run(i); });
    }
  }
  ~Load() {
    stop_ = true;
    for (std::thread& thread : threads_) thread.join();
  }

  static std::string User(int i) { return absl::StrCat("user", i); }

  // Events of each user that were acknowledged by now.
  std::vector<uint64_t> Acknowledged() const {
    return {acknowledged_.begin(), acknowledged_.end()};
  }

  // Blocks until every user has `events` more.
  void AwaitMore(uint64_t events) const {
    for (const auto& count : acknowledged_) {
      const uint64_t target = count + events;
      while (count < target) absl::SleepFor(absl::Milliseconds(1));
    }
  }

 private:
  void Run(int i) {
    const std::string user = User(i);
    for (uint64_t first = 1; !stop_; first += 5) {
      ASSERT_THAT(store_.AppendEvents({MakeAppend(user, first, first + 4)}),
                  IsOk());
      acknowledged_[i] = first + 4;
      if (first % 10 == 1) {
        ASSERT_THAT(
            store_.PutSnapshot(kF, user, MakeSnapshot(user, first + 4)),
            IsOk());
      }
    }
  }

  StateStore& store_;
  std::atomic<bool> stop_{false};
  std::array<std::atomic<uint64_t>, kThreads> acknowledged_{};
  std::vector<std::thread> threads_;
};

// The store at `path` has a whole prefix of each user's events that holds
// `acknowledged`, and no snapshot ahead of it.
void ExpectPrefix(const std::string& path,
                  const std::vector<uint64_t>& acknowledged) {
  const auto store = MustOpen(path);
  ASSERT_NE(store, nullptr);
  for (int i = 0; i < Load::kThreads; ++i) {
    const std::string user = Load::User(i);
    const auto head = store->GetHead(user);
    ASSERT_THAT(head, IsOk());
    EXPECT_GE(head->last_sequence, acknowledged[i]);
    const UserAppend whole = MakeAppend(user, 1, head->last_sequence);
    EXPECT_EQ(*head, whole.head_after);
    EXPECT_THAT(store->ReadEvents(user, 1, kNoLimit),
                IsOkAndHolds(whole.events));
    const auto snapshot = store->GetSnapshot(kF, user);
    ASSERT_THAT(snapshot, IsOk());
    if (snapshot->has_value()) {
      EXPECT_LE((*snapshot)->folded_sequence, head->last_sequence);
      EXPECT_EQ(**snapshot, MakeSnapshot(user, (*snapshot)->folded_sequence));
    }
  }
}

class StoreCopiesTest : public testing::Test {
 protected:
  StoreCopiesTest() : store_(MustOpen(folder_ / "store")) {
    EXPECT_THAT(store_->OpenFingerprint(kF), IsOk());
  }

  TempFolder folder_;
  std::unique_ptr<StateStore> store_;
};

TEST_F(StoreCopiesTest, CheckpointUnderLoadHoldsWhatWasAcknowledged) {
  Load load(*store_);
  for (int round = 0; round < 4; ++round) {
    load.AwaitMore(20);
    const std::vector<uint64_t> acknowledged = load.Acknowledged();
    const std::string path = folder_ / absl::StrCat("checkpoint", round);
    ASSERT_THAT(store_->Checkpoint(path), IsOk());
    ExpectPrefix(path, acknowledged);
  }
}

TEST_F(StoreCopiesTest, CopiesHoldTheMarksOfSources) {
  ASSERT_THAT(store_->PutSourceMark("day-1", {7, "digest"}), IsOk());
  ASSERT_THAT(store_->Checkpoint(folder_ / "checkpoint"), IsOk());
  ASSERT_THAT(store_->Backup(folder_ / "backups", 0), IsOk());
  ASSERT_THAT(RestoreStore(folder_ / "backups", 0, folder_ / "restored"),
              IsOk());
  for (const std::string name : {"checkpoint", "restored"}) {
    EXPECT_THAT(MustOpen(folder_ / name)->GetSourceMark("day-1"),
                IsOkAndHolds(std::optional(SourceMark{7, "digest"})));
  }
}

TEST_F(StoreCopiesTest, CheckpointLinksTableFiles) {
  ASSERT_THAT(store_->AppendEvents({MakeAppend("u", 1, 100)}), IsOk());
  ASSERT_THAT(store_->Checkpoint(folder_ / "checkpoint"), IsOk());
  int tables = 0;
  for (const auto& file : fs::directory_iterator(folder_ / "checkpoint")) {
    if (file.path().extension() != ".sst") continue;
    ++tables;
    EXPECT_EQ(file.hard_link_count(), 2u) << file.path();
  }
  EXPECT_GT(tables, 0);
}

TEST_F(StoreCopiesTest, ARestoredCheckpointIsAStoreOfItsOwn) {
  ASSERT_THAT(store_->AppendEvents({MakeAppend("u", 1, 10)}), IsOk());
  ASSERT_THAT(store_->Checkpoint(folder_ / "checkpoint"), IsOk());
  ASSERT_THAT(store_->AppendEvents({MakeAppend("u", 11, 12)}), IsOk());
  // What an attempt that was interrupted left.
  fs::create_directories(folder_ / "a.restoring/junk");
  for (const std::string name : {"a", "b/"}) {
    ASSERT_THAT(RestoreStore(folder_ / "checkpoint", 0, folder_ / name),
                IsOk());
    const auto restored = MustOpen(folder_ / name);
    EXPECT_THAT(restored->ReadEvents("u", 1, kNoLimit),
                IsOkAndHolds(MakeAppend("u", 1, 10).events));
    // Writing to one changes neither the checkpoint nor the other.
    ASSERT_THAT(restored->AppendEvents({MakeAppend("u", 11, 30)}), IsOk());
    ASSERT_THAT(restored->DeleteUser("u"), IsOkAndHolds(30u));
    ASSERT_THAT(restored->Flush(), IsOk());
  }
  EXPECT_FALSE(fs::exists(folder_ / "a/junk"));
  EXPECT_FALSE(fs::exists(folder_ / "a.restoring"));
}

TEST_F(StoreCopiesTest, BackupsUnderLoadHoldWhatWasAcknowledged) {
  Load load(*store_);
  std::vector<std::vector<uint64_t>> acknowledged;
  for (int i = 0; i < 3; ++i) {
    load.AwaitMore(20);
    acknowledged.push_back(load.Acknowledged());
    ASSERT_THAT(store_->Backup(folder_ / "backups", 0), IsOk());
  }
  for (uint32_t id = 1; id <= 3; ++id) {
    const std::string path = folder_ / absl::StrCat("restored", id);
    ASSERT_THAT(RestoreStore(folder_ / "backups", id, path), IsOk());
    ExpectPrefix(path, acknowledged[id - 1]);
  }
  ASSERT_THAT(RestoreStore(folder_ / "backups", 0, folder_ / "newest"), IsOk());
  ExpectPrefix(folder_ / "newest", acknowledged[2]);
}

// Snapshots are not in the WAL: a copy has those that are in memory, too.
TEST_F(StoreCopiesTest, CopiesHoldSnapshotsThatWereInNoFile) {
  ASSERT_THAT(store_->AppendEvents({MakeAppend("u", 1, 10)}), IsOk());
  ASSERT_THAT(store_->PutSnapshot(kF, "u", MakeSnapshot("u", 8)), IsOk());
  ASSERT_THAT(store_->Backup(folder_ / "backups", 0), IsOk());
  ASSERT_THAT(store_->PutSnapshot(kF, "u", MakeSnapshot("u", 9)), IsOk());
  ASSERT_THAT(store_->Checkpoint(folder_ / "checkpoint"), IsOk());
  ASSERT_THAT(RestoreStore(folder_ / "backups", 0, folder_ / "restored"),
              IsOk());
  EXPECT_THAT(MustOpen(folder_ / "restored")->GetSnapshot(kF, "u"),
              IsOkAndHolds(std::optional(MakeSnapshot("u", 8))));
  EXPECT_THAT(MustOpen(folder_ / "checkpoint")->GetSnapshot(kF, "u"),
              IsOkAndHolds(std::optional(MakeSnapshot("u", 9))));
}

TEST_F(StoreCopiesTest, BackupsAreIncrementalAndOldOnesGo) {
  for (int user = 0; user < 50; ++user) {
    ASSERT_THAT(
        store_->AppendEvents({MakeAppend(absl::StrCat("u", user), 1, 500)}),
        IsOk());
  }
  const auto first = store_->Backup(folder_ / "backups", 2);
  ASSERT_THAT(first, IsOk());
  EXPECT_EQ(first->id, 1u);
  EXPECT_EQ(first->new_bytes, first->bytes);
  ASSERT_THAT(store_->AppendEvents({MakeAppend("new", 1, 5)}), IsOk());
  const auto second = store_->Backup(folder_ / "backups", 2);
  ASSERT_THAT(second, IsOk());
  EXPECT_LT(second->new_bytes, first->new_bytes / 4);
  EXPECT_GT(second->bytes, first->bytes / 2);

  ASSERT_THAT(store_->Backup(folder_ / "backups", 2), IsOk());
  const auto backups = ListBackups(folder_ / "backups");
  ASSERT_THAT(backups, IsOk());
  ASSERT_EQ(backups->size(), 2u);
  EXPECT_EQ((*backups)[0].id, 2u);
  EXPECT_EQ((*backups)[0].bytes, second->bytes);
  EXPECT_EQ((*backups)[1].id, 3u);
  EXPECT_THAT(RestoreStore(folder_ / "backups", 1, folder_ / "r"),
              IsStatus(absl::StatusCode::kNotFound, "has no backup 1; the "
                                                    "newest is 3"));
}

// What a backup does every time is nothing to be warned of.
TEST_F(StoreCopiesTest, ABackupWarnsOfNothing) {
  std::atomic<int> warnings = 0;
  RocksDbOptions options = SmallOptions(folder_ / "quiet");
  options.on_warning = [&](absl::string_view message) {
    ++warnings;
    ADD_FAILURE() << message;
  };
  const auto store = OpenRocksDbStateStore(options);
  ASSERT_THAT(store, IsOk());
  ASSERT_THAT((*store)->AppendEvents({MakeAppend("u", 1, 10)}), IsOk());
  for (int i = 0; i < 2; ++i) {
    ASSERT_THAT((*store)->Backup(folder_ / "backups", 0), IsOk());
  }
  ASSERT_THAT((*store)->Checkpoint(folder_ / "checkpoint"), IsOk());
  EXPECT_EQ(warnings, 0);
}

TEST_F(StoreCopiesTest, ADamagedBackupIsNotRestored) {
  ASSERT_THAT(store_->AppendEvents({MakeAppend("u", 1, 100)}), IsOk());
  ASSERT_THAT(store_->Backup(folder_ / "backups", 0), IsOk());
  std::string table;
  for (const auto& file :
       fs::recursive_directory_iterator(folder_ / "backups")) {
    if (file.path().extension() == ".sst") table = file.path();
  }
  ASSERT_FALSE(table.empty());
  {
    std::fstream file(table, std::ios::in | std::ios::out | std::ios::binary);
    const char byte = static_cast<char>(file.get() ^ 1);
    file.seekp(0);
    file.put(byte);
  }
  EXPECT_THAT(RestoreStore(folder_ / "backups", 0, folder_ / "restored"),
              IsStatus(absl::StatusCode::kDataLoss, "backup 1 in"));
  EXPECT_FALSE(fs::exists(folder_ / "restored"));
  EXPECT_FALSE(fs::exists(folder_ / "restored.restoring"));
}

TEST_F(StoreCopiesTest, RefusesWhatIsInTheWayOrNotThere) {
  constexpr auto kExists = absl::StatusCode::kAlreadyExists;
  constexpr auto kNotFound = absl::StatusCode::kNotFound;
  ASSERT_THAT(store_->Checkpoint(folder_ / "checkpoint"), IsOk());
  EXPECT_THAT(store_->Checkpoint(folder_ / "checkpoint"),
              IsStatus(kExists, "something is there"));
  EXPECT_THAT(store_->Checkpoint(folder_ / "no/checkpoint"),
              IsStatus(kNotFound, "create it first"));
  EXPECT_THAT(
      RestoreStore(folder_ / "checkpoint", 0, folder_ / "store"),
      IsStatus(kExists, "move it away or name a new folder"));
  EXPECT_THAT(RestoreStore(folder_ / "checkpoint", 3, folder_ / "r"),
              IsStatus(absl::StatusCode::kInvalidArgument, "backup 3"));
  EXPECT_THAT(RestoreStore(folder_ / "nothing", 0, folder_ / "r"),
              IsStatus(kNotFound, "nothing: not a folder of backups"));
  EXPECT_THAT(ListBackups(folder_ / "nothing"),
              IsStatus(kNotFound, "not a folder of backups"));
  EXPECT_FALSE(fs::exists(folder_ / "nothing"));
  EXPECT_FALSE(fs::exists(folder_ / "r"));

  const auto memory = NewMemoryStateStore();
  constexpr auto kUnimplemented = absl::StatusCode::kUnimplemented;
  EXPECT_THAT(memory->Checkpoint(folder_ / "m"),
              IsStatus(kUnimplemented, "no files"));
  EXPECT_THAT(memory->Backup(folder_ / "m", 0),
              IsStatus(kUnimplemented, "no files"));
}

}  // namespace
}  // namespace qlarank
