// The order of users' keys (keys.h): that of their bytes, as RocksDB's own
// comparator has it and by its name, so that the files are the same.
//
// Finding a key's place in a memtable is what appending an event costs most, and
// most of that is comparisons. Keys begin with a hash, so almost all are decided
// by their first 8 bytes: one comparison of numbers instead of a call of memcmp.
//
// Private to the RocksDB implementation. Thread-safe.
#ifndef QLARANK_STATE_STORE_ROCKSDB_KEY_ORDER_H_
#define QLARANK_STATE_STORE_ROCKSDB_KEY_ORDER_H_

#include "rocksdb/comparator.h"

namespace qlarank::rocksdb_internal {

// Lives until the process ends.
const rocksdb::Comparator* KeyOrder();

}  // namespace qlarank::rocksdb_internal

#endif  // QLARANK_STATE_STORE_ROCKSDB_KEY_ORDER_H_
