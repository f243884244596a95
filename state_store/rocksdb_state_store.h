// The StateStore on a local disk, in RocksDB. docs/storage.md describes every
// byte it writes, what is synced when and what a crash can lose.
//
// One process at a time may have a store open. Thread-safe as the interface
// says. Reads block on the disk when a block is not cached; AppendEvents and
// DeleteUser block until the log is synced, PutSnapshot rarely, when the disk
// cannot keep up; concurrent synced writes share their syncs.
#ifndef QLARANK_STATE_STORE_ROCKSDB_STATE_STORE_H_
#define QLARANK_STATE_STORE_ROCKSDB_STATE_STORE_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "state_store/state_store.h"

namespace qlarank {

struct RocksDbOptions {
  // Folder of the store. Required. Created when it is not there; its parent
  // must be.
  std::string path;

  // How many partitions users are divided among, when the store is made; one
  // that is there keeps its own. 1 to kMaxPartitions. Default 16.
  uint32_t partitions = kDefaultPartitions;

  // Memory for blocks read from the disk, indexes and Bloom filters included,
  // and for memtables, which are charged to it. 0: the least that works, and
  // memtables beside it. Default 256 MiB.
  size_t block_cache_bytes = size_t{256} << 20;

  // Memory for what was written and is not yet in a table file, all column
  // families together. More means fewer, larger files, and more snapshots lost
  // by a crash. 0 is not allowed. Default 128 MiB.
  size_t memtable_bytes = size_t{128} << 20;

  // Memory for the heads that were written last, some 400 bytes each. Default
  // 32 MiB.
  size_t head_cache_bytes = size_t{32} << 20;

  // The log (RocksDB's WAL) is on the disk before AppendEvents and DeleteUser
  // return. When false it is in the operating system's memory: a crash of the
  // process still loses nothing, a crash of the machine loses the last seconds,
  // acknowledged events too. Default true.
  bool sync_log = true;

  // Threads that flush and compact in the background, at least 1. Default 2.
  int background_threads = 2;

  // Table files held open. -1: all of them. Default 1,000.
  int max_open_files = 1000;

  // When the WAL is damaged before its end, opening the store is refused with
  // DATA_LOSS. True drops the damaged record and everything after it instead,
  // once, by someone who has read the message. Default false.
  bool drop_log_after_damage = false;

  // Told of RocksDB's warnings and errors, a line each and no line twice in a
  // row, by any of its threads; must not block. Default: nobody is.
  using WarningSink = std::function<void(absl::string_view message)>;
  WarningSink on_warning = nullptr;

  // Told with the fault, by any thread, when the disk makes the store refuse
  // writes, again when that will not end before a restart (RestartNeeded), and
  // with OK when it takes them again; must not block. Default: nobody is.
  using WriteFaultSink = std::function<void(const absl::Status& fault)>;
  WriteFaultSink on_write_fault = nullptr;
};

// Whether a write fault ends only with a restart, and not by itself.
bool RestartNeeded(const absl::Status& fault);

// Opens the store at options.path, creating it when there is none.
//
//   INVALID_ARGUMENT     an option is out of range
//   NOT_FOUND            the parent folder does not exist
//   FAILED_PRECONDITION  another process has the store open; or it is of an
//                        older format, which UpgradeStore (store_upgrade.h)
//                        takes along, or of one that this binary does not know;
//                        or it is not a qlarank store
//   DATA_LOSS            damaged files
//   UNAVAILABLE          the disk fails, the store is another user's, or on a
//                        read-only file system
//
// Messages name the path and what can be done.
absl::StatusOr<std::unique_ptr<StateStore>> OpenRocksDbStateStore(
    const RocksDbOptions& options);

}  // namespace qlarank

#endif  // QLARANK_STATE_STORE_ROCKSDB_STATE_STORE_H_
