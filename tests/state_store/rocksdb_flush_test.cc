// Flushes side by side: each ends, whichever RocksDB forgets.
#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <thread>

#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "state_store/failpoint.h"
#include "state_store/rocksdb_open.h"
#include "state_store/rocksdb_state_store_impl.h"
#include "tests/state_store/store_testing.h"

namespace qlarank::rocksdb_internal {
namespace {

#ifdef QLARANK_FAILPOINTS

struct Asks {
  std::string name;
  std::function<absl::Status(RocksDbStateStore& store, std::string path)> ask;
};

class RocksDbFlushTest : public testing::TestWithParam<Asks> {};

// A flush of the log is held before it takes its memtables (it syncs the WAL of
// before), and another one is asked for meanwhile. RocksDB then forgets it.
TEST_P(RocksDbFlushTest, EndsThoughItIsAskedForDuringAnother) {
  TempFolder folder;
  auto opened = OpenStore(SmallOptions(folder / "store"));
  ASSERT_THAT(opened, IsOk());
  rocksdb::DB& db = *opened->db;
  rocksdb::ColumnFamilyHandle* const log = opened->log.get();
  // Appends and syncs would wait for the one that is held.
  const auto put = [&](const std::string& key) {
    EXPECT_TRUE(db.Put(rocksdb::WriteOptions(), log, key, "").ok());
  };
  RocksDbStateStore store(*std::move(opened));
  ASSERT_THAT(store.AppendEvents({MakeAppend("u", 1, 9)}), IsOk());
  ASSERT_THAT(store.DeleteUser("u"), IsOkAndHolds(9u));
  ASSERT_THAT(store.Flush(), IsOk());

  put("first");
  absl::Notification held, released;
  const FailpointHook hook([&](absl::string_view name) {
    if (name != "wal.synced" || held.HasBeenNotified()) return;
    held.Notify();
    released.WaitForNotification();
  });
  std::thread first([&] {
    EXPECT_TRUE(db.Flush(rocksdb::FlushOptions(), log).ok());
  });
  held.WaitForNotification();
  put("second");
  absl::Notification ended;
  std::thread second([&] {
    EXPECT_THAT(GetParam().ask(store, folder / "copy"), IsOk());
    ended.Notify();
  });
  uint64_t waiting = 0;
  while (waiting < 2) {
    absl::SleepFor(absl::Milliseconds(1));
    ASSERT_TRUE(db.GetIntProperty(
        log, rocksdb::DB::Properties::kNumImmutableMemTable, &waiting));
  }
  released.Notify();
  if (!ended.WaitForNotificationWithTimeout(absl::Seconds(30))) {
    ADD_FAILURE() << "waits for a flush that is forgotten";
    rocksdb::FlushOptions remind;
    remind.wait = false;
    EXPECT_TRUE(db.Flush(remind, log).ok());
  }
  first.join();
  second.join();
}

INSTANTIATE_TEST_SUITE_P(
    , RocksDbFlushTest,
    testing::Values(
        Asks{"Flush",
             [](RocksDbStateStore& store, const std::string&) {
               return store.Flush();
             }},
        Asks{"Checkpoint",
             [](RocksDbStateStore& store, const std::string& path) {
               return store.Checkpoint(path);
             }},
        Asks{"Backup",
             [](RocksDbStateStore& store, const std::string& path) {
               return store.Backup(path, /*keep=*/1).status();
             }},
        Asks{"Purge",
             [](RocksDbStateStore& store, const std::string&) {
               return store.PurgeErased().status();
             }}),
    [](const auto& info) { return info.param.name; });

#endif  // QLARANK_FAILPOINTS

// Memtables as small as they get, which fill up by themselves as well.
TEST(RocksDbFlushesTest, EndBesideWriters) {
  TempFolder folder;
  RocksDbOptions options = SmallOptions(folder / "store");
  options.memtable_bytes = 1 << 20;
  options.sync_log = false;
  auto store = OpenRocksDbStateStore(options);
  ASSERT_THAT(store, IsOk());
  std::atomic<bool> stop = false;
  std::thread writer([&] {
    for (uint64_t first = 1; !stop; first += 200) {
      EXPECT_THAT(
          (*store)->AppendEvents({MakeAppend("u", first, first + 199)}),
          IsOk());
    }
  });
  std::thread other([&] {
    while (!stop) EXPECT_THAT((*store)->Flush(), IsOk());
  });
  for (int i = 0; i < 50; ++i) EXPECT_THAT((*store)->Flush(), IsOk());
  stop = true;
  writer.join();
  other.join();
}

}  // namespace
}  // namespace qlarank::rocksdb_internal
