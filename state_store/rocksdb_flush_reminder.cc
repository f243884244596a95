#include "state_store/rocksdb_flush_reminder.h"

#include <cstdint>
#include <utility>

#include "absl/time/time.h"

namespace qlarank::rocksdb_internal {
namespace {

// Each time, what is in the memtable that is written to becomes a file of its
// own if something waits: not much more often than it would fill up anyhow.
constexpr absl::Duration kRemindEvery = absl::Milliseconds(500);

bool HasForgotten(rocksdb::DB& db, const ColumnFamily& column_family) {
  uint64_t waiting = 0;
  uint64_t pending = 0;
  return db.GetIntProperty(column_family.get(),
                           rocksdb::DB::Properties::kNumImmutableMemTable,
                           &waiting) &&
         db.GetIntProperty(column_family.get(),
                           rocksdb::DB::Properties::kMemTableFlushPending,
                           &pending) &&
         waiting > 0 && pending == 0;
}

}  // namespace

FlushReminder::FlushReminder(rocksdb::DB& db,
                             std::vector<ColumnFamily> column_families)
    : db_(db),
      column_families_(std::move(column_families)),
      thread_([this] { Loop(); }) {}

FlushReminder::~FlushReminder() {
  done_.Notify();
  thread_.join();
}

void FlushReminder::Loop() {
  rocksdb::FlushOptions ask;
  ask.wait = false;
  ask.allow_write_stall = true;  // or it may wait for a flush itself
  while (!done_.WaitForNotificationWithTimeout(kRemindEvery)) {
    for (const ColumnFamily& column_family : column_families_) {
      if (!HasForgotten(db_, column_family)) continue;
      // Whoever waits is told why, if this fails.
      db_.Flush(ask, column_family.get()).PermitUncheckedError();
    }
  }
}

}  // namespace qlarank::rocksdb_internal
