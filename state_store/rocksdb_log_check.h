// Looks at RocksDB's WAL and manifest files before RocksDB does, because it takes
// some damage for their end: a flipped bit in a record's type can pass for a
// record of a recycled file, one in a length for a write that was torn. Either
// would drop, without a word, all that follows: acknowledged events.
//
// Private to the RocksDB implementation. Thread-safe: pure functions. They read
// the files once, as opening the store does anyway.
#ifndef QLARANK_STATE_STORE_ROCKSDB_LOG_CHECK_H_
#define QLARANK_STATE_STORE_ROCKSDB_LOG_CHECK_H_

#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace qlarank::rocksdb_internal {

// Where the bytes of a file in RocksDB's log format are damaged; nullopt if
// every record is whole up to the end, or up to one that was torn there: what a
// crash of the machine leaves of a write that was not synced. The end of a file
// cannot be told from one that was cut between two records.
std::optional<uint64_t> FindDamage(absl::string_view log);

// Checks every WAL in a store's folder, unless `skip_wals`, and the manifest
// that CURRENT names. DATA_LOSS names the first damaged file and where.
// UNAVAILABLE when one cannot be read. OK for those that are missing: RocksDB
// tells.
absl::Status CheckLogFiles(const std::string& folder, bool skip_wals);

}  // namespace qlarank::rocksdb_internal

#endif  // QLARANK_STATE_STORE_ROCKSDB_LOG_CHECK_H_
