// RocksDB's types as ours, and how its column families are named. Private to
// the RocksDB implementation.
#ifndef QLARANK_STATE_STORE_ROCKSDB_TYPES_H_
#define QLARANK_STATE_STORE_ROCKSDB_TYPES_H_

#include <memory>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "rocksdb/db.h"
#include "rocksdb/slice.h"
#include "rocksdb/status.h"

namespace qlarank::rocksdb_internal {

// docs/storage.md, "Column families". The default one holds these two, and what
// has a key of keys.h there.
inline constexpr absl::string_view kFormatKey = "qlarank format";
inline constexpr absl::string_view kDigestKeyKey = "qlarank digest key";
inline constexpr absl::string_view kLogName = "log";
inline constexpr absl::string_view kHeadsName = "heads";
inline constexpr absl::string_view kCatalogueName = "catalogue";
inline constexpr absl::string_view kStatesPrefix = "state-";  // + fingerprint

// Shared, so that one that is dropped stays readable for those who hold it. Of
// a rocksdb::DB: the last reference must go before the database.
using ColumnFamily = std::shared_ptr<rocksdb::ColumnFamilyHandle>;

// Both borrow.
inline rocksdb::Slice ToSlice(absl::string_view s) {
  return {s.data(), s.size()};
}
inline absl::string_view ToView(const rocksdb::Slice& s) {
  return {s.data(), s.size()};
}

// OK, or the status of the contract: DATA_LOSS for corruption, UNAVAILABLE for
// everything the disk does. `doing` starts the message.
absl::Status ToAbslStatus(const rocksdb::Status& status,
                          absl::string_view doing);

// Has RestartNeeded say so of `fault`.
void MarkRestartNeeded(absl::Status& fault);

}  // namespace qlarank::rocksdb_internal

#endif  // QLARANK_STATE_STORE_ROCKSDB_TYPES_H_
