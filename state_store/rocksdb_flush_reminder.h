// Lets whoever waits for a flush of RocksDB's see it happen.
//
// RocksDB (7.8) forgets a flush that is asked for while another of the same
// column family is about to take its memtables, if fewer than
// min_write_buffer_number_to_merge are left (its issue 13280): whoever waits for
// it waits until enough others have been filled, so perhaps for ever. That number
// is above 1 here (rocksdb_tuning.cc), so everything that waits for a flush has
// one of these beside it: DB::Flush, CompactRange, checkpoints and backups.
// Closing a database does not flush (rocksdb_tuning.cc); who closes it does first.
//
// Private to the RocksDB implementation.
#ifndef QLARANK_STATE_STORE_ROCKSDB_FLUSH_REMINDER_H_
#define QLARANK_STATE_STORE_ROCKSDB_FLUSH_REMINDER_H_

#include <thread>
#include <vector>

#include "absl/synchronization/notification.h"
#include "rocksdb/db.h"
#include "state_store/rocksdb_types.h"

namespace qlarank::rocksdb_internal {

// While it lives, asks for the flush of memtables that wait and that no flush is
// under way for, again and again. One thread.
class FlushReminder {
 public:
  FlushReminder(rocksdb::DB& db, std::vector<ColumnFamily> column_families);
  ~FlushReminder();
  FlushReminder(const FlushReminder&) = delete;
  FlushReminder& operator=(const FlushReminder&) = delete;

 private:
  void Loop();

  rocksdb::DB& db_;
  const std::vector<ColumnFamily> column_families_;
  absl::Notification done_;
  std::thread thread_;
};

}  // namespace qlarank::rocksdb_internal

#endif  // QLARANK_STATE_STORE_ROCKSDB_FLUSH_REMINDER_H_
