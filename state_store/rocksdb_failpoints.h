// Failpoints inside of RocksDB's own work: between writing its files and syncing
// them, around flushes and compactions. Private to the RocksDB implementation;
// empty unless QLARANK_FAILPOINTS.
#ifndef QLARANK_STATE_STORE_ROCKSDB_FAILPOINTS_H_
#define QLARANK_STATE_STORE_ROCKSDB_FAILPOINTS_H_

#include "rocksdb/options.h"

namespace qlarank::rocksdb_internal {

// Has the database that is opened with `options` reach them.
void AddFailpoints(rocksdb::DBOptions& options);

}  // namespace qlarank::rocksdb_internal

#endif  // QLARANK_STATE_STORE_ROCKSDB_FAILPOINTS_H_
