// Filling a new store, record by record, with what is in another: for repair and
// upgrade. Not durable before Finish. Private to the RocksDB implementation. Not
// thread-safe.
#ifndef QLARANK_STATE_STORE_ROCKSDB_NEW_STORE_H_
#define QLARANK_STATE_STORE_ROCKSDB_NEW_STORE_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "rocksdb/db.h"
#include "rocksdb/write_batch.h"
#include "state_store/rocksdb_open.h"
#include "state_store/rocksdb_types.h"

namespace qlarank::rocksdb_internal {

class NewStore {
 public:
  // An empty store at `path`, with room for the same fingerprints as `other`,
  // and for a catalogue if it has one.
  static absl::StatusOr<NewStore> Like(const OpenedStore& other,
                                       const std::string& path,
                                       uint32_t partitions);

  NewStore(NewStore&&) = default;
  NewStore& operator=(NewStore&&) = delete;

  // Column families of the store.
  ColumnFamily records() const;  // the default one
  const ColumnFamily& log() const { return store_.log; }
  const ColumnFamily& heads() const { return store_.heads; }
  // REQUIRES: `other` had one.
  const ColumnFamily& catalogue() const { return store_.catalogue; }
  // REQUIRES: `other` had the fingerprint.
  const ColumnFamily& states(absl::string_view fingerprint) const {
    return store_.states.find(fingerprint)->second;
  }

  absl::Status Put(const ColumnFamily& column_family, absl::string_view key,
                   absl::string_view value);
  // Everything is in synced table files when it returns OK.
  absl::Status Finish();

 private:
  explicit NewStore(OpenedStore store) : store_(std::move(store)) {}

  absl::Status WriteBatch();

  OpenedStore store_;
  rocksdb::WriteBatch batch_;
};

}  // namespace qlarank::rocksdb_internal

#endif  // QLARANK_STATE_STORE_ROCKSDB_NEW_STORE_H_
