#include "state_store/rocksdb_state_store.h"

#include <memory>
#include <utility>
#include <vector>

#include "absl/hash/hash.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "rocksdb/db.h"
#include "state_store/rocksdb_flush_reminder.h"
#include "state_store/rocksdb_open.h"
#include "state_store/rocksdb_state_store_impl.h"
#include "state_store/rocksdb_types.h"

namespace qlarank {
namespace rocksdb_internal {

RocksDbStateStore::RocksDbStateStore(OpenedStore store)
    : options_(std::move(store.options)),
      num_partitions_(store.partitions),
      cache_(std::move(store.cache)),
      statistics_(std::move(store.statistics)),
      write_faults_(std::move(store.write_faults)),
      db_(std::move(store.db)),
      log_(std::move(store.log)),
      heads_(std::move(store.heads)),
      digest_key_(std::move(store.digest_key)),
      next_erasure_(store.next_erasure),
      erasures_pending_(store.erasures_pending),
      head_cache_({.budget_bytes = options_.head_cache_bytes}),
      states_(std::move(store.states)),
      catalogue_(std::move(store.catalogue)),
      recovery_(store.read_only ? nullptr
                                : std::make_unique<Recovery>(
                                      *db_, write_faults_, options_.path)) {
  synced_.sync = options_.sync_log;
  unlogged_.disableWAL = true;
}

RocksDbStateStore::~RocksDbStateStore() {
  // Snapshots are not in the WAL, and closing a database does not flush. What
  // this fails to save is folded again.
  if (recovery_ != nullptr) Flush().IgnoreError();
}

absl::Mutex& RocksDbStateStore::SnapshotLock(absl::string_view user_id) const {
  return snapshot_locks_[absl::HashOf(user_id) % kSnapshotLocks];
}

ColumnFamily RocksDbStateStore::States(absl::string_view fingerprint) const {
  absl::ReaderMutexLock lock(&states_mutex_);
  const auto it = states_.find(fingerprint);
  return it == states_.end() ? nullptr : it->second;
}

std::vector<ColumnFamily> RocksDbStateStore::AllColumnFamilies() const {
  std::vector<ColumnFamily> all = {log_, heads_};
  absl::ReaderMutexLock lock(&states_mutex_);
  for (const auto& [fingerprint, states] : states_) all.push_back(states);
  if (catalogue_ != nullptr) all.push_back(catalogue_);
  return all;
}

absl::Status RocksDbStateStore::Write(const rocksdb::WriteOptions& options,
                                      rocksdb::WriteBatch& batch,
                                      absl::string_view doing) {
  if (write_faults_->writes_refused()) {
    // OK if it ended just now.
    const absl::Status fault = write_faults_->fault();
    if (!fault.ok()) {
      return absl::Status(fault.code(),
                          absl::StrCat(doing, ": ", fault.message()));
    }
  }
  return ToAbslStatus(db_->Write(options, &batch), doing);
}

absl::Status RocksDbStateStore::Flush() {
  // RocksDB's own checks end the process when a WAL that has failed is touched
  // again.
  if (write_faults_->writes_refused()) {
    return absl::UnavailableError(
        "flushing: the disk has failed a write; what was acknowledged is in "
        "the log");
  }
  if (!options_.sync_log) {
    const absl::Status status =
        ToAbslStatus(db_->FlushWAL(/*sync=*/true), "flushing");
    if (!status.ok()) return status;
  }
  const std::vector<ColumnFamily> all = AllColumnFamilies();
  const FlushReminder reminder(*db_, all);
  absl::Status status = ToAbslStatus(
      db_->Flush(rocksdb::FlushOptions(), db_->DefaultColumnFamily()),
      "flushing");
  if (!status.ok()) return status;
  for (const ColumnFamily& column_family : all) {
    const rocksdb::Status flushed =
        db_->Flush(rocksdb::FlushOptions(), column_family.get());
    if (flushed.IsColumnFamilyDropped()) continue;
    if (!flushed.ok()) return ToAbslStatus(flushed, "flushing");
  }
  return absl::OkStatus();
}

}  // namespace rocksdb_internal

absl::StatusOr<std::unique_ptr<StateStore>> OpenRocksDbStateStore(
    const RocksDbOptions& options) {
  absl::StatusOr<rocksdb_internal::OpenedStore> store =
      rocksdb_internal::OpenStore(options);
  if (!store.ok()) return store.status();
  return std::make_unique<rocksdb_internal::RocksDbStateStore>(
      *std::move(store));
}

}  // namespace qlarank
