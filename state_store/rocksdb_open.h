// Opening a store's database, or creating one, and refusing what is not a
// store of this format: the checks before the first read of a record. Private
// to the RocksDB implementation.
#ifndef QLARANK_STATE_STORE_ROCKSDB_OPEN_H_
#define QLARANK_STATE_STORE_ROCKSDB_OPEN_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "rocksdb/cache.h"
#include "rocksdb/db.h"
#include "rocksdb/statistics.h"
#include "state_store/rocksdb_state_store.h"
#include "state_store/rocksdb_types.h"
#include "state_store/rocksdb_write_faults.h"

namespace qlarank::rocksdb_internal {

// An open store. Members are released from the last to the first, so column
// families before the database that they are of.
struct OpenedStore {
  RocksDbOptions options;
  std::shared_ptr<rocksdb::Cache> cache;            // of blocks
  std::shared_ptr<rocksdb::Statistics> statistics;  // counted by `db`
  std::shared_ptr<WriteFaults> write_faults;  // told by `db`
  std::unique_ptr<rocksdb::DB> db;
  ColumnFamily log;
  ColumnFamily heads;
  ColumnFamily catalogue;  // null where it has no entry yet
  std::map<std::string, ColumnFamily, std::less<>> states;  // by fingerprint
  std::string digest_key;     // of records of erasures
  // 0: the format record is lost, and nothing else names their number.
  uint32_t partitions = 0;
  uint64_t next_erasure = 1;  // number of the next one
  int64_t erasures_pending = 0;  // not purged yet, about
  bool read_only = false;
};

enum class OpenMode {
  kServe,    // to read and write; created when it is not there
  kInspect,  // as strict, but only to be read: the folder does not change
  // To be read, as much of it as can be: damaged or missing table files fail
  // the reads that need them and nothing else, damaged WAL records are skipped.
  kSalvage,
  kUpgrade,  // as kInspect, but of kOldestStoreFormat, not of this one
};

// Opens the store at options.path. The errors are those of
// OpenRocksDbStateStore, and NOT_FOUND where none is created; nothing stays
// open after one. Blocks while RocksDB replays its WAL. Thread-safe: of two
// calls for one path, one fails, but for those that only read.
//
// The format record is written last when a store is created. So a crash on the
// way leaves an empty database without one, and the next opening goes on from
// there; a database with records but no format record is somebody else's.
absl::StatusOr<OpenedStore> OpenStore(const RocksDbOptions& options,
                                      OpenMode mode = OpenMode::kServe);

// Makes the column family of the catalogue, which `db` does not have.
absl::StatusOr<ColumnFamily> MakeCatalogue(
    rocksdb::DB& db, const RocksDbOptions& options,
    const std::shared_ptr<rocksdb::Cache>& cache);

}  // namespace qlarank::rocksdb_internal

#endif  // QLARANK_STATE_STORE_ROCKSDB_OPEN_H_
