// Where RocksDB's own messages go: to a callback, and not to the LOG file that
// it would write beside the data. That file ends on the same disk: when the
// disk is full, Debian's build of RocksDB aborts in an assertion on writing to
// it once more, and takes the process with it.
#ifndef QLARANK_STATE_STORE_ROCKSDB_LOGGER_H_
#define QLARANK_STATE_STORE_ROCKSDB_LOGGER_H_

#include <memory>

#include "rocksdb/env.h"
#include "state_store/rocksdb_state_store.h"

namespace qlarank::rocksdb_internal {

// Passes warnings and errors on to `sink`, which may be null.
std::shared_ptr<rocksdb::Logger> MakeLogger(RocksDbOptions::WarningSink sink);

}  // namespace qlarank::rocksdb_internal

#endif  // QLARANK_STATE_STORE_ROCKSDB_LOGGER_H_
