// How RocksDB is set up for each kind of record, and its statuses as ours.
// Private to the RocksDB implementation: the one header that shows its types.
#ifndef QLARANK_STATE_STORE_ROCKSDB_TUNING_H_
#define QLARANK_STATE_STORE_ROCKSDB_TUNING_H_

#include <memory>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "rocksdb/options.h"
#include "rocksdb/status.h"
#include "state_store/rocksdb_state_store.h"

namespace qlarank::rocksdb_internal {

// OK, or the status of the contract: DATA_LOSS for corruption, UNAVAILABLE for
// everything the disk does. `doing` starts the message.
absl::Status ToAbslStatus(const rocksdb::Status& status,
                          absl::string_view doing);

rocksdb::DBOptions MakeDbOptions(const RocksDbOptions& options);

// One cache for all column families.
std::shared_ptr<rocksdb::Cache> MakeBlockCache(const RocksDbOptions& options);

// Small records, appended, read as short scans of one user.
rocksdb::ColumnFamilyOptions MakeLogOptions(
    const RocksDbOptions& options,
    const std::shared_ptr<rocksdb::Cache>& cache);

// Small records, overwritten and looked up by key; scanned as a whole at times.
rocksdb::ColumnFamilyOptions MakeHeadsOptions(
    const RocksDbOptions& options,
    const std::shared_ptr<rocksdb::Cache>& cache);

// Tens of KB a record, incompressible, overwritten and looked up by key.
rocksdb::ColumnFamilyOptions MakeStatesOptions(
    const RocksDbOptions& options,
    const std::shared_ptr<rocksdb::Cache>& cache);

}  // namespace qlarank::rocksdb_internal

#endif  // QLARANK_STATE_STORE_ROCKSDB_TUNING_H_
