// What only a store on a disk can get right: opening, closing, locking.
#include "state_store/rocksdb_state_store.h"

#include <atomic>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "gtest/gtest.h"
#include "rocksdb/db.h"
#include "rocksdb/sst_file_reader.h"
#include "state_store/rocksdb_key_order.h"
#include "tests/state_store/helper_process.h"
#include "tests/state_store/store_testing.h"

namespace qlarank {
namespace {

constexpr size_t kNoLimit = std::numeric_limits<size_t>::max();
constexpr char kF[] = "f1e2d3";

std::unique_ptr<StateStore> MustOpen(const RocksDbOptions& options) {
  auto store = OpenRocksDbStateStore(options);
  EXPECT_THAT(store, IsOk());
  return store.ok() ? *std::move(store) : nullptr;
}

// Writes one record into the default column family of a database of ours.
void PutFormat(const std::string& path, const std::string& value) {
  rocksdb::DBOptions options;
  std::vector<std::string> names;
  ASSERT_TRUE(rocksdb::DB::ListColumnFamilies(options, path, &names).ok());
  std::vector<rocksdb::ColumnFamilyDescriptor> descriptors;
  for (const auto& name : names) {
    descriptors.emplace_back(name, rocksdb::ColumnFamilyOptions());
  }
  std::vector<rocksdb::ColumnFamilyHandle*> handles;
  rocksdb::DB* db = nullptr;
  ASSERT_TRUE(
      rocksdb::DB::Open(options, path, descriptors, &handles, &db).ok());
  EXPECT_TRUE(db->Put(rocksdb::WriteOptions(), "qlarank format", value).ok());
  for (auto* handle : handles) delete handle;
  delete db;
}

TEST(RocksDbStateStoreTest, KeepsEverythingAcrossReopening) {
  TempFolder folder;
  const RocksDbOptions options = SmallOptions(folder / "store");
  auto store = MustOpen(options);
  ASSERT_THAT(store->OpenFingerprint(kF), IsOk());
  ASSERT_THAT(
      store->AppendEvents({MakeAppend("u", 1, 200), MakeAppend("v", 1, 1)}),
      IsOk());
  ASSERT_THAT(store->PutSnapshot(kF, "u", MakeSnapshot("u", 128)), IsOk());
  ASSERT_THAT(store->AppendEvents({MakeAppend("gone", 1, 9)}), IsOk());
  ASSERT_THAT(store->DeleteUser("gone"), IsOkAndHolds(9u));

  for (int i = 0; i < 3; ++i) {
    store.reset();
    store = MustOpen(options);
    EXPECT_THAT(store->GetHead("u"),
                IsOkAndHolds(MakeAppend("u", 200, 200).head_after));
    EXPECT_THAT(store->ReadEvents("u", 1, kNoLimit),
                IsOkAndHolds(MakeAppend("u", 1, 200).events));
    EXPECT_THAT(*store->ListFingerprints(), testing::ElementsAre(kF));
    EXPECT_THAT(store->GetSnapshot(kF, "u"),
                IsOkAndHolds(std::optional(MakeSnapshot("u", 128))));
    EXPECT_THAT(store->GetHead("gone"), IsOkAndHolds(UserHead()));
    EXPECT_THAT(store->ReadEvents("gone", 1, kNoLimit),
                IsOkAndHolds(std::vector<LoggedEvent>()));
  }
}

TEST(RocksDbStateStoreTest, KeepsThePartitionsAndMarksItWasMadeWith) {
  TempFolder folder;
  RocksDbOptions options = SmallOptions(folder / "store");
  options.partitions = 5;
  auto store = MustOpen(options);
  EXPECT_EQ(store->num_partitions(), 5u);
  ASSERT_THAT(store->AppendEvents({MakeAppend("u", 1, 1)}, {{"m", "1"}}),
              IsOk());
  store.reset();
  options.partitions = 16;
  store = MustOpen(options);
  EXPECT_EQ(store->num_partitions(), 5u);
  EXPECT_EQ(store->format(), 2u);
  EXPECT_EQ(store->Statistics().at("partitions"), 5);
  EXPECT_THAT(store->GetMark("m"),
              IsOkAndHolds(std::optional<std::string>("1")));
  store.reset();
  for (const uint32_t partitions : {0u, 4097u}) {
    options.partitions = partitions;
    EXPECT_THAT(OpenRocksDbStateStore(options),
                IsStatus(absl::StatusCode::kInvalidArgument,
                         absl::StrCat("partitions is ", partitions)));
  }
}

TEST(RocksDbStateStoreTest, ForgetsADroppedFingerprintForGood) {
  TempFolder folder;
  const RocksDbOptions options = SmallOptions(folder / "store");
  auto store = MustOpen(options);
  ASSERT_THAT(store->OpenFingerprint(kF), IsOk());
  ASSERT_THAT(store->AppendEvents({MakeAppend("u", 1, 1)}), IsOk());
  ASSERT_THAT(store->PutSnapshot(kF, "u", MakeSnapshot("u", 1)), IsOk());
  ASSERT_THAT(store->Flush(), IsOk());
  ASSERT_THAT(store->DropFingerprint(kF), IsOk());
  store.reset();
  store = MustOpen(options);
  EXPECT_THAT(*store->ListFingerprints(), testing::IsEmpty());
  ASSERT_THAT(store->OpenFingerprint(kF), IsOk());
  EXPECT_THAT(store->GetSnapshot(kF, "u"), IsOkAndHolds(std::nullopt));
}

TEST(RocksDbStateStoreTest, RefusesAStoreLockedByAnotherProcess) {
  TempFolder folder;
  const RocksDbOptions options = SmallOptions(folder / "store");
  HelperProcess holder({"hold", options.path});
  ASSERT_EQ(holder.ReadLine(), "open");
  EXPECT_THAT(OpenRocksDbStateStore(options),
              IsStatus(absl::StatusCode::kFailedPrecondition,
                       "store " + options.path +
                           " is open in another process, which holds " +
                           options.path + "/LOCK"));
  holder.Kill();  // a lock of the dead is no lock
  EXPECT_THAT(OpenRocksDbStateStore(options), IsOk());
}

TEST(RocksDbStateStoreTest, RefusesAStoreOpenInThisProcess) {
  TempFolder folder;
  const RocksDbOptions options = SmallOptions(folder / "store");
  const auto store = MustOpen(options);
  EXPECT_THAT(OpenRocksDbStateStore(options),
              IsStatus(absl::StatusCode::kFailedPrecondition, "/LOCK"));
}

TEST(RocksDbStateStoreTest, RefusesAnUnknownFormat) {
  TempFolder folder;
  const RocksDbOptions options = SmallOptions(folder / "store");
  MustOpen(options).reset();
  PutFormat(options.path, "qlarank store, format 3");
  EXPECT_THAT(OpenRocksDbStateStore(options),
              IsStatus(absl::StatusCode::kFailedPrecondition,
                       "says \"qlarank store, format 3\", this binary knows "
                       "format 2: use the binary that wrote it"));
  PutFormat(options.path, "qlarank store, format 1");
  EXPECT_THAT(OpenRocksDbStateStore(options),
              IsStatus(absl::StatusCode::kFailedPrecondition,
                       "is of format 1, this binary reads format 2: make a new "
                       "store of it with qlarank store upgrade " +
                           options.path + " NEW_DIR"));
  PutFormat(options.path, "qlarank stose, format 1");
  EXPECT_THAT(OpenRocksDbStateStore(options),
              IsStatus(absl::StatusCode::kDataLoss, "format record"));
}

TEST(RocksDbStateStoreTest, RefusesADatabaseThatIsNotOurs) {
  TempFolder folder;
  rocksdb::Options raw;
  raw.create_if_missing = true;
  rocksdb::DB* db = nullptr;
  ASSERT_TRUE(rocksdb::DB::Open(raw, folder / "store", &db).ok());
  ASSERT_TRUE(db->Put(rocksdb::WriteOptions(), "their", "data").ok());
  delete db;
  EXPECT_THAT(
      OpenRocksDbStateStore(SmallOptions(folder / "store")),
      IsStatus(absl::StatusCode::kFailedPrecondition, "not a qlarank store"));
}

TEST(RocksDbStateStoreTest, FinishesAStoreWhoseCreationWasCut) {
  TempFolder folder;
  rocksdb::Options raw;
  raw.create_if_missing = true;
  rocksdb::DB* db = nullptr;
  ASSERT_TRUE(rocksdb::DB::Open(raw, folder / "store", &db).ok());
  delete db;
  auto store = MustOpen(SmallOptions(folder / "store"));
  EXPECT_THAT(store->AppendEvents({MakeAppend("u", 1, 1)}), IsOk());
}

TEST(RocksDbStateStoreTest, NamesAMissingParentFolder) {
  TempFolder folder;
  EXPECT_THAT(OpenRocksDbStateStore(SmallOptions(folder / "no/such/store")),
              IsStatus(absl::StatusCode::kNotFound, "its parent folder " +
                                                        (folder / "no/such") +
                                                        " does not exist"));
}

TEST(RocksDbStateStoreTest, RefusesAPathThatIsAFile) {
  TempFolder folder;
  std::ofstream(folder / "file") << "hello";
  EXPECT_THAT(OpenRocksDbStateStore(SmallOptions(folder / "file")),
              IsStatus(absl::StatusCode::kFailedPrecondition, "not a folder"));
}

TEST(RocksDbStateStoreTest, RefusesToCreateOverTableFiles) {
  TempFolder folder;
  const RocksDbOptions options = SmallOptions(folder / "store");
  auto store = MustOpen(options);
  ASSERT_THAT(store->AppendEvents({MakeAppend("u", 1, 1)}), IsOk());
  ASSERT_THAT(store->Flush(), IsOk());
  store.reset();
  std::filesystem::remove(options.path + "/CURRENT");
  EXPECT_THAT(OpenRocksDbStateStore(options),
              IsStatus(absl::StatusCode::kDataLoss, "CURRENT is missing"));
}

TEST(RocksDbStateStoreTest, RefusesBadOptions) {
  TempFolder folder;
  RocksDbOptions no_path;
  EXPECT_THAT(OpenRocksDbStateStore(no_path),
              IsStatus(absl::StatusCode::kInvalidArgument, "path"));
  RocksDbOptions no_memtable = SmallOptions(folder / "store");
  no_memtable.memtable_bytes = 0;
  EXPECT_THAT(OpenRocksDbStateStore(no_memtable),
              IsStatus(absl::StatusCode::kInvalidArgument, "memtable_bytes"));
  RocksDbOptions no_threads = SmallOptions(folder / "store");
  no_threads.background_threads = 0;
  EXPECT_THAT(
      OpenRocksDbStateStore(no_threads),
      IsStatus(absl::StatusCode::kInvalidArgument, "background_threads"));
}

TEST(RocksDbStateStoreTest, WorksWithoutABlockCache) {
  TempFolder folder;
  RocksDbOptions options = SmallOptions(folder / "store");
  options.block_cache_bytes = 0;
  auto store = MustOpen(options);
  ASSERT_THAT(store->AppendEvents({MakeAppend("u", 1, 9)}), IsOk());
  ASSERT_THAT(store->Flush(), IsOk());
  EXPECT_THAT(store->ReadEvents("u", 1, kNoLimit),
              IsOkAndHolds(MakeAppend("u", 1, 9).events));
}

TEST(RocksDbStateStoreTest, FiguresFollowWhatHappens) {
  TempFolder folder;
  auto store = MustOpen(SmallOptions(folder / "store"));
  auto before = store->Statistics();
  ASSERT_THAT(store->AppendEvents({MakeAppend("u", 1, 100)}), IsOk());
  auto after = store->Statistics();
  EXPECT_EQ(after["estimated_events"], 100);
  EXPECT_EQ(after["wal_syncs_total"], before["wal_syncs_total"] + 1);
  EXPECT_GT(after["wal_bytes_total"], before["wal_bytes_total"]);
  EXPECT_GT(after["memtable_bytes"], 0);
  EXPECT_EQ(after["block_cache_capacity_bytes"], 8 << 20);
  EXPECT_EQ(after["sst_bytes"], 0);
  EXPECT_EQ(after["background_errors_total"], 0);
  EXPECT_EQ(after["writes_stopped"], 0);
  ASSERT_THAT(store->Flush(), IsOk());
  ASSERT_THAT(store->ReadEvents("u", 1, 9), IsOk());
  ASSERT_THAT(store->ReadEvents("u", 1, 9), IsOk());
  after = store->Statistics();
  EXPECT_GT(after["sst_bytes"], 0);
  EXPECT_GT(after["events_sst_bytes"], 0);
  EXPECT_GT(after["block_cache_hits_total"], 0);
  EXPECT_GT(after["block_cache_usage_bytes"], 0);
}

// One bound for what reading and writing take.
TEST(RocksDbStateStoreTest, MemtablesAreChargedToTheBlockCache) {
  TempFolder folder;
  auto store = MustOpen(SmallOptions(folder / "store"));
  ASSERT_THAT(store->OpenFingerprint(kF), IsOk());
  ASSERT_THAT(store->AppendEvents({MakeAppend("u", 1, 1)}), IsOk());
  Snapshot snapshot = MakeSnapshot("u", 1);
  snapshot.state.assign(2 << 20, 's');
  ASSERT_THAT(store->PutSnapshot(kF, "u", snapshot), IsOk());
  EXPECT_GT(store->Statistics()["block_cache_usage_bytes"], 2 << 20);
}

TEST(RocksDbStateStoreTest, FiltersAreChargedToTheBlockCache) {
  TempFolder folder;
  const RocksDbOptions options = SmallOptions(folder / "store");
  constexpr int kUsers = 20'000;
  const auto usage = [&] {
    return MustOpen(options)->Statistics()["block_cache_usage_bytes"];
  };
  const double empty = usage();
  {
    auto store = MustOpen(options);
    std::vector<UserAppend> appends;
    for (int user = 0; user < kUsers; ++user) {
      appends.push_back(MakeAppend(absl::StrCat("u", user), 1, 1));
    }
    ASSERT_THAT(store->AppendEvents(appends), IsOk());
    ASSERT_THAT(store->Flush(), IsOk());
  }
  // Ten bits for each user, in their log and in their head.
  EXPECT_GT(usage() - empty, 2 * kUsers * 10 / 8);
}

// A whole index of a full file is larger than what a cache has for one block.
TEST(RocksDbStateStoreTest, IndexesAreReadInParts) {
  TempFolder folder;
  const RocksDbOptions options = SmallOptions(folder / "store");
  auto store = MustOpen(options);
  ASSERT_THAT(store->OpenFingerprint(kF), IsOk());
  ASSERT_THAT(store->AppendEvents({MakeAppend("u", 1, 200)}), IsOk());
  ASSERT_THAT(store->PutSnapshot(kF, "u", MakeSnapshot("u", 128)), IsOk());
  ASSERT_THAT(store->Flush(), IsOk());
  store.reset();
  int files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(options.path)) {
    if (entry.path().extension() != ".sst") continue;
    ++files;
    rocksdb::Options read;
    read.comparator = rocksdb_internal::KeyOrder();
    rocksdb::SstFileReader reader(read);
    ASSERT_TRUE(reader.Open(entry.path().string()).ok()) << entry.path();
    EXPECT_GT(reader.GetTableProperties()->index_partitions, 0u)
        << entry.path() << " of "
        << reader.GetTableProperties()->column_family_name;
  }
  EXPECT_GE(files, 3);  // log, heads and states
}

TEST(RocksDbStateStoreTest, KeepsAsManyHeadsAsItHasRoomFor) {
  TempFolder folder;
  for (const size_t bytes : {size_t{0}, size_t{1} << 20}) {
    RocksDbOptions options = SmallOptions(folder / absl::StrCat(bytes));
    options.head_cache_bytes = bytes;
    auto store = MustOpen(options);
    ASSERT_THAT(store->AppendEvents({MakeAppend("u", 1, 9)}), IsOk());
    ASSERT_THAT(store->Flush(), IsOk());
    const auto block_reads = [&] {
      auto figures = store->Statistics();
      return figures["block_cache_hits_total"] +
             figures["block_cache_misses_total"];
    };
    const double before = block_reads();
    ASSERT_THAT(store->GetHeadToExtend("u"), IsOk());
    EXPECT_EQ(block_reads() > before, bytes == 0);
  }
}

TEST(RocksDbStateStoreTest, SyncsEveryAppendUnlessToldNotTo) {
  TempFolder folder;
  for (const bool sync : {true, false}) {
    RocksDbOptions options = SmallOptions(folder / (sync ? "sync" : "nosync"));
    options.sync_log = sync;
    auto store = MustOpen(options);
    const double before = store->Statistics()["wal_syncs_total"];
    for (uint64_t i = 1; i <= 10; ++i) {
      ASSERT_THAT(store->AppendEvents({MakeAppend("u", i, i)}), IsOk());
    }
    ASSERT_THAT(store->DeleteUser("u"), IsOk());
    EXPECT_EQ(store->Statistics()["wal_syncs_total"] - before, sync ? 11 : 0);
  }
}

// A reader between whose look at the head and look at the log a user comes and
// goes must not take them for damaged. Unsynced, so that they come and go
// fast.
TEST(RocksDbStateStoreTest, ReadsBesideQuickErasuresAreNoDamage) {
  TempFolder folder;
  RocksDbOptions options = SmallOptions(folder / "store");
  options.sync_log = false;
  auto store = MustOpen(options);
  std::atomic<bool> done = false;
  std::vector<std::thread> readers;
  for (int r = 0; r < 2; ++r) {
    readers.emplace_back([&] {
      while (!done) {
        const auto events = store->ReadEvents("u", 1, kNoLimit);
        ASSERT_THAT(events, IsOk());
        EXPECT_THAT(events->size(), testing::AnyOf(0, 2, 4));
      }
    });
  }
  for (uint64_t incarnation = 1; incarnation < 8'000; ++incarnation) {
    ASSERT_THAT(store->AppendEvents({MakeAppend("u", 1, 2, incarnation)}),
                IsOk());
    ASSERT_THAT(store->AppendEvents({MakeAppend("u", 3, 4, incarnation)}),
                IsOk());
    ASSERT_THAT(store->DeleteUser("u"), IsOkAndHolds(4u));
  }
  done = true;
  for (std::thread& reader : readers) reader.join();
}

TEST(RocksDbStateStoreTest, SnapshotsStayOutOfTheWal) {
  TempFolder folder;
  auto store = MustOpen(SmallOptions(folder / "store"));
  ASSERT_THAT(store->OpenFingerprint(kF), IsOk());
  ASSERT_THAT(store->AppendEvents({MakeAppend("u", 1, 1)}), IsOk());
  const double before = store->Statistics()["wal_bytes_total"];
  Snapshot snapshot = MakeSnapshot("u", 1);
  snapshot.state.assign(30'000, 's');
  ASSERT_THAT(store->PutSnapshot(kF, "u", snapshot), IsOk());
  EXPECT_EQ(store->Statistics()["wal_bytes_total"], before);
}

}  // namespace
}  // namespace qlarank
