// How RocksDB is set up for each kind of record. Private to the RocksDB
// implementation. Thread-safe: pure functions.
#ifndef QLARANK_STATE_STORE_ROCKSDB_TUNING_H_
#define QLARANK_STATE_STORE_ROCKSDB_TUNING_H_

#include <memory>

#include "rocksdb/cache.h"
#include "rocksdb/options.h"
#include "state_store/rocksdb_state_store.h"

namespace qlarank::rocksdb_internal {

// `cache` is that of the column families: memtables are charged to it.
rocksdb::DBOptions MakeDbOptions(const RocksDbOptions& options,
                                 const std::shared_ptr<rocksdb::Cache>& cache);

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

// Records of all sizes, appended, and read as a whole when a model is loaded.
rocksdb::ColumnFamilyOptions MakeCatalogueOptions(
    const RocksDbOptions& options,
    const std::shared_ptr<rocksdb::Cache>& cache);

}  // namespace qlarank::rocksdb_internal

#endif  // QLARANK_STATE_STORE_ROCKSDB_TUNING_H_
