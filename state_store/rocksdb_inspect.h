// Looking at a store that no process has open, without changing it. Private to
// the RocksDB implementation.
#ifndef QLARANK_STATE_STORE_ROCKSDB_INSPECT_H_
#define QLARANK_STATE_STORE_ROCKSDB_INSPECT_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"

namespace qlarank::rocksdb_internal {

// Keeps a store from being opened for as long as it lives.
using InspectionLock = std::shared_ptr<void>;

// FAILED_PRECONDITION when a process has the store open; null where no process
// can have had, as with a checkpoint.
absl::StatusOr<InspectionLock> LockForInspection(const std::string& path);

}  // namespace qlarank::rocksdb_internal

#endif  // QLARANK_STATE_STORE_ROCKSDB_INSPECT_H_
