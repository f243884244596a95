// Erasure and trimming on a disk: what a crash leaves, and what is in the
// files.
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <limits>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "gtest/gtest.h"
#include "state_store/keys.h"
#include "state_store/records.h"
#include "state_store/rocksdb_state_store.h"
#include "state_store/store_check.h"
#include "state_store/store_repair.h"
#include "tests/state_store/damage.h"
#include "tests/state_store/helper_process.h"
#include "tests/state_store/store_testing.h"

namespace qlarank {
namespace {

namespace fs = std::filesystem;

constexpr size_t kNoLimit = std::numeric_limits<size_t>::max();
constexpr char kF[] = "f1e2d3";
// Nothing else looks like these.
constexpr char kUser[] = "ursula-the-user";
constexpr char kAction[] = "bought-a-secret-gift";
constexpr char kSource[] = "source-of-ursula";

class ErasureTest : public testing::Test {
 protected:
  ErasureTest() : path_(folder_ / "store") { Open(); }

  void Open() {
    store_.reset();
    auto store = OpenRocksDbStateStore(SmallOptions(path_));
    ASSERT_THAT(store, IsOk());
    store_ = *std::move(store);
    ASSERT_THAT(store_->OpenFingerprint(kF), IsOk());
  }

  // A user among others, whose bytes can be told from theirs.
  void Fill() {
    for (int i = 0; i < 40; ++i) {
      ASSERT_THAT(
          store_->AppendEvents({MakeAppend(absl::StrCat("other", i), 1, 50)}),
          IsOk());
    }
    UserAppend append = MakeAppend(kUser, 1, 20);
    for (LoggedEvent& event : append.events) {
      event.action = kAction;
      event.source = kSource;
    }
    append.head_after.watermarks = {{kSource, 20}};
    ASSERT_THAT(store_->AppendEvents({append}), IsOk());
    ASSERT_THAT(store_->PutSnapshot(kF, kUser, MakeSnapshot(kUser, 16)),
                IsOk());
  }

  // Files of the store that hold any of the user's bytes.
  std::vector<std::string> FilesWithTheUser() {
    std::vector<std::string> found;
    for (const auto& entry : fs::recursive_directory_iterator(path_)) {
      if (!entry.is_regular_file()) continue;
      std::ifstream file(entry.path(), std::ios::binary);
      const std::string bytes(std::istreambuf_iterator<char>(file), {});
      for (const std::string& secret :
           {std::string(kUser), std::string(kAction), std::string(kSource),
            UserKey(kUser).substr(0, kUserHashBytes)}) {
        if (absl::StrContains(bytes, secret)) {
          found.push_back(absl::StrCat(entry.path().filename().string(), ": ",
                                       secret));
        }
      }
    }
    return found;
  }

  TempFolder folder_;
  const std::string path_;
  std::unique_ptr<StateStore> store_;
};

// What clients send again and again for ids that nobody has costs no write.
TEST_F(ErasureTest, ErasingNobodyWritesNothing) {
  const auto log_bytes = [this] {
    uintmax_t bytes = 0;
    for (const auto& file : fs::directory_iterator(path_)) {
      if (file.path().extension() == ".log") bytes += file.file_size();
    }
    return bytes;
  };
  Fill();
  const uintmax_t before = log_bytes();
  for (int i = 0; i < 100; ++i) {
    ASSERT_THAT(store_->DeleteUser(absl::StrCat("nobody", i)),
                IsOkAndHolds(0u));
  }
  EXPECT_EQ(log_bytes(), before);
  ASSERT_THAT(store_->DeleteUser(kUser), IsOkAndHolds(20u));
  EXPECT_GT(log_bytes(), before);
  ASSERT_THAT(store_->DeleteUser(kUser), IsOkAndHolds(0u));
}

// Is there anything to be found in the first place?
TEST_F(ErasureTest, AUserIsInTheFilesAfterErasureAlone) {
  Fill();
  ASSERT_THAT(store_->Flush(), IsOk());
  ASSERT_THAT(store_->DeleteUser(kUser), IsOkAndHolds(20u));
  EXPECT_FALSE(FilesWithTheUser().empty());
}

TEST_F(ErasureTest, PurgingMakesAUserLeaveTheFiles) {
  for (const bool flushed : {true, false}) {
    Fill();
    if (flushed) {
      ASSERT_THAT(store_->Flush(), IsOk());
    }
    ASSERT_THAT(store_->DeleteUser(kUser, {1, "carol", "request"}),
                IsOkAndHolds(20u));
    ASSERT_THAT(store_->PurgeErased(), IsOk());
    // The manifest names the first and the last key of table files that were.
    for (const std::string& found : FilesWithTheUser()) {
      EXPECT_TRUE(absl::StartsWith(found, "MANIFEST")) << found;
    }
    Open();  // begins a new manifest, and reads records of erasures
    EXPECT_THAT(FilesWithTheUser(), testing::IsEmpty());
    EXPECT_TRUE((*store_->ListErasures(kUser, 1))[0].purged);
    EXPECT_EQ((*store_->ListErasures(kUser, 1))[0].note.principal, "carol");
    for (int i = 0; i < 40; ++i) {
      const std::string user = absl::StrCat("other", i);
      EXPECT_THAT(store_->ReadEvents(user, 1, kNoLimit),
                  IsOkAndHolds(MakeAppend(user, 1, 50).events));
      ASSERT_THAT(store_->DeleteUser(user), IsOk());
    }
  }
}

TEST_F(ErasureTest, ManyErasuresArePurgedAtOnceAndAfterARestart) {
  Fill();
  for (int i = 0; i < 100; ++i) {
    const std::string user = absl::StrCat("more", i);
    ASSERT_THAT(store_->AppendEvents({MakeAppend(user, 1, 2)}), IsOk());
    ASSERT_THAT(store_->DeleteUser(user), IsOkAndHolds(2u));
  }
  ASSERT_THAT(store_->DeleteUser(kUser), IsOkAndHolds(20u));
  Open();
  EXPECT_THAT(store_->PurgeErased(), IsOkAndHolds(101u));
  Open();
  EXPECT_THAT(FilesWithTheUser(), testing::IsEmpty());
}

// However many were erased, files are rewritten once, step by step, and whoever
// stops in between loses no step.
TEST_F(ErasureTest, ManyErasuresArePurgedInStepsThatMayPause) {
  const auto written = [this] {
    return store_->Statistics().at("compaction_written_bytes_total");
  };
  const auto pending = [this] {
    return store_->Statistics().at("erasures_pending");
  };
  constexpr int kUsers = 2000;
  constexpr uint64_t kErased = 100;
  std::string incompressible(2000, ' ');
  std::mt19937 random(1);
  std::vector<UserAppend> batch;
  for (int i = 0; i < kUsers; ++i) {
    UserAppend& append =
        batch.emplace_back(MakeAppend(absl::StrCat("user", i), 1, 20));
    for (LoggedEvent& event : append.events) {
      for (char& c : incompressible) c = static_cast<char>(random());
      event.action = absl::BytesToHexString(incompressible);
    }
    if (batch.size() < 100) continue;
    ASSERT_THAT(store_->AppendEvents(batch), IsOk());
    batch.clear();
  }
  ASSERT_THAT(store_->Flush(), IsOk());
  // Once, so that what follows is about the purge.
  ASSERT_THAT(store_->DeleteUser("user0"), IsOkAndHolds(20u));
  EXPECT_EQ(pending(), 1);
  ASSERT_THAT(store_->PurgeErased(), IsOkAndHolds(1u));
  EXPECT_EQ(pending(), 0);
  const double store_bytes = store_->Statistics().at("sst_bytes");

  for (uint64_t i = 1; i <= kErased; ++i) {
    ASSERT_THAT(store_->DeleteUser(absl::StrCat("user", i)),
                IsOkAndHolds(20u));
  }
  EXPECT_EQ(pending(), kErased);
  Open();
  EXPECT_EQ(pending(), kErased);
  const double before = written();
  uint64_t purged = 0;
  int calls = 0;
  while (purged < kErased) {
    const auto some = store_->PurgeErased([](uint64_t bytes) {
      EXPECT_GT(bytes, 0u);
      return false;
    });
    ASSERT_THAT(some, IsOk());
    ASSERT_GT(*some, 0u);
    purged += *some;
    ++calls;
    EXPECT_EQ(pending(), kErased - purged);
  }
  RecordProperty("store_mib", static_cast<int>(store_bytes / (1 << 20)));
  RecordProperty("written_mib",
                 static_cast<int>((written() - before) / (1 << 20)));
  RecordProperty("calls", calls);
  EXPECT_GT(calls, 1);
  EXPECT_LT(written() - before, 4 * store_bytes);
  const auto erasures = store_->ListErasures("", kNoLimit);
  ASSERT_THAT(erasures, IsOk());
  for (const Erasure& erasure : *erasures) EXPECT_TRUE(erasure.purged);
  EXPECT_THAT(store_->GetHead("user301"), IsOk());
  EXPECT_EQ(store_->ReadEvents("user301", 1, kNoLimit)->size(), 20u);
}

#ifdef QLARANK_FAILPOINTS
// Wherever the process dies, the next one's purge ends it.
TEST_F(ErasureTest, APurgeThatWasCutShortIsEndedByTheNextProcess) {
  for (const char* place :
       {"purge.begin", "purge.compacted", "purge.recorded"}) {
    SCOPED_TRACE(place);
    store_.reset();
    fs::remove_all(path_);
    Open();
    Fill();
    ASSERT_THAT(store_->Flush(), IsOk());
    ASSERT_THAT(store_->DeleteUser(kUser), IsOkAndHolds(20u));
    store_.reset();
    setenv("QLARANK_FAILPOINT_KILL", place, /*replace=*/1);
    {
      HelperProcess purge({"purge", path_});
      EXPECT_EQ(purge.ReadLine(), std::nullopt);  // gone, and said nothing
    }
    unsetenv("QLARANK_FAILPOINT_KILL");
    Open();
    ASSERT_THAT(store_->PurgeErased(), IsOk());
    Open();  // begins a new manifest
    EXPECT_THAT(FilesWithTheUser(), testing::IsEmpty());
    EXPECT_TRUE((*store_->ListErasures(kUser, 1))[0].purged);
  }
}
#endif

// A fingerprint that was opened after the erasure, and has unwritten snapshots
// of others, does not keep the WAL with them in it alive.
TEST_F(ErasureTest, PurgingDropsTheWalWhateverElseIsInIt) {
  Fill();
  ASSERT_THAT(store_->DeleteUser(kUser), IsOkAndHolds(20u));
  ASSERT_THAT(store_->OpenFingerprint("a0b1c2"), IsOk());
  ASSERT_THAT(
      store_->PutSnapshot("a0b1c2", "other1", MakeSnapshot("other1", 16)),
      IsOk());
  ASSERT_THAT(store_->PurgeErased(), IsOkAndHolds(1u));
  for (const std::string& found : FilesWithTheUser()) {
    EXPECT_TRUE(absl::StartsWith(found, "MANIFEST")) << found;
  }
}

// The WAL is cut at every byte of the erasure: they are there or they are gone,
// with the record or without it, never in between.
TEST_F(ErasureTest, ACrashLeavesAllOfAUserOrNothing) {
  Fill();
  ASSERT_THAT(store_->Flush(), IsOk());
  ASSERT_THAT(store_->AppendEvents({MakeAppend("last", 1, 1)}), IsOk());
  const std::string wal = FilesOf(path_, ".log").back();
  const uint64_t before = fs::file_size(wal);
  ASSERT_THAT(store_->DeleteUser(kUser, {1, "", "request"}),
              IsOkAndHolds(20u));
  const uint64_t after = fs::file_size(wal);
  ASSERT_GT(after, before + 50);
  int there = 0, gone = 0;
  for (uint64_t part = 0; part <= 16; ++part) {
    const uint64_t bytes = before + (after - before) * part / 16;
    SCOPED_TRACE(bytes);
    const std::string copy = folder_ / "copy";
    fs::remove_all(copy);
    fs::copy(path_, copy, fs::copy_options::recursive);
    fs::resize_file(copy + "/" + fs::path(wal).filename().string(), bytes);
    auto store = OpenRocksDbStateStore(SmallOptions(copy));
    ASSERT_THAT(store, IsOk());
    const auto head = (*store)->GetHead(kUser);
    ASSERT_THAT(head, IsOk());
    const bool is_there = head->incarnation != 0;
    ++(is_there ? there : gone);
    EXPECT_EQ((*store)->ReadEvents(kUser, 1, kNoLimit)->size(),
              is_there ? 20u : 0u);
    EXPECT_EQ((*store)->GetSnapshot(kF, kUser)->has_value(), is_there);
    EXPECT_EQ((*store)->ListErasures("", kNoLimit)->size(), is_there ? 0u : 1u);
  }
  EXPECT_EQ(there, 16);
  EXPECT_EQ(gone, 1);
  Open();
  EXPECT_THAT(store_->GetHead(kUser), IsOkAndHolds(UserHead()));
}

// The snapshot that stands for trimmed events is in no table file when the
// process dies.
TEST_F(ErasureTest, ACrashAfterTrimmingKeepsTheSnapshotThatStandsForIt) {
  Fill();
  ASSERT_THAT(store_->TrimLog(kUser, 17, {kF}), IsOk());
  const std::string copy = folder_ / "copy";
  fs::copy(path_, copy, fs::copy_options::recursive);
  auto store = OpenRocksDbStateStore(SmallOptions(copy));
  ASSERT_THAT(store, IsOk());
  EXPECT_THAT((*store)->GetSnapshot(kF, kUser),
              IsOkAndHolds(std::optional(MakeSnapshot(kUser, 16))));
  EXPECT_EQ((*store)->GetHead(kUser)->first_sequence, 17u);
  EXPECT_EQ((*store)->ReadEvents(kUser, 17, kNoLimit)->size(), 4u);
  EXPECT_THAT((*store)->ReadEvents(kUser, 1, kNoLimit),
              IsStatus(absl::StatusCode::kFailedPrecondition, "trimmed"));
}

// Not even a snapshot that has no business there any more.
TEST_F(ErasureTest, ASnapshotOfAFormerLifeStandsForNothing) {
  Fill();
  ASSERT_THAT(store_->Flush(), IsOk());
  store_.reset();
  const std::string key = UserKey(kUser);
  RawDatabase(path_).Put(
      absl::StrCat("state-", kF), key,
      EncodeSnapshot(key, kF, MakeSnapshot(kUser, 16, /*incarnation=*/6)));
  Open();
  ASSERT_THAT(
      store_->TrimLog(kUser, 17, {kF}),
      IsStatus(absl::StatusCode::kFailedPrecondition, "no snapshot"));
  EXPECT_EQ(store_->ReadEvents(kUser, 1, kNoLimit)->size(), 20u);
}

TEST_F(ErasureTest, TrimmedAndErasedUsersAreVerifiedAndRepaired) {
  Fill();
  ASSERT_THAT(store_->TrimLog(kUser, 17, {kF}), IsOk());
  ASSERT_THAT(store_->DeleteUser("other7", {1, "", "request"}), IsOk());
  const std::string digest = store_->DigestOfUser("other7");
  store_.reset();
  const auto fail = [](const StoreProblem& problem) {
    ADD_FAILURE() << problem.column_family << " " << problem.what;
  };
  ASSERT_THAT(VerifyStore(path_, fail), IsOk());
  ASSERT_THAT(RepairStore(path_, folder_ / "repaired", fail), IsOk());
  ASSERT_THAT(VerifyStore(folder_ / "repaired", fail), IsOk());
  auto store = OpenRocksDbStateStore(SmallOptions(folder_ / "repaired"));
  ASSERT_THAT(store, IsOk());
  EXPECT_EQ((*store)->GetHead(kUser)->first_sequence, 17u);
  EXPECT_EQ((*store)->ReadEvents(kUser, 17, kNoLimit)->size(), 4u);
  const auto erasures = (*store)->ListErasures("other7", kNoLimit);
  ASSERT_THAT(erasures, IsOk());
  ASSERT_EQ(erasures->size(), 1u);
  EXPECT_EQ((*erasures)[0].user_digest, digest);
  // And the next one gets a number of its own.
  ASSERT_THAT((*store)->DeleteUser("other8"), IsOk());
  EXPECT_EQ((*store)->ListErasures("", kNoLimit)->size(), 2u);
}

}  // namespace
}  // namespace qlarank
