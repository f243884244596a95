// The StateStore over RocksDB, as a class: one .cc for each thing it does.
//
//   rocksdb_event_log.cc    the event log and the heads
//   rocksdb_log_walk.cc     walks over all logs
//   rocksdb_snapshots.cc    snapshots, and what they must not undo or stand for:
//                           erasure and trimming
//   rocksdb_erasures.cc     records of erasures, and purging
//   rocksdb_published_states.cc  what readers take of both, of one moment
//   rocksdb_catalogue_log.cc  the catalogue's log
//   rocksdb_marks.cc        marks, and those of sources
//   rocksdb_copies.cc       checkpoints and backups
//   rocksdb_statistics.cc   figures for operators
//   rocksdb_state_store.cc  opening, and what the others share
//
// Private to the RocksDB implementation. Thread-safe as StateStore says.
// RocksDB's own calls are; the locks here are for what must hold across several
// of them. Lock order: put_snapshots_mutex_, a snapshot lock, states_mutex_.
#ifndef QLARANK_STATE_STORE_ROCKSDB_STATE_STORE_IMPL_H_
#define QLARANK_STATE_STORE_ROCKSDB_STATE_STORE_IMPL_H_

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "absl/types/span.h"
#include "rocksdb/db.h"
#include "state_store/records.h"
#include "state_store/rocksdb_open.h"
#include "state_store/rocksdb_recovery.h"
#include "state_store/rocksdb_state_store.h"
#include "state_store/rocksdb_types.h"
#include "state_store/state_store.h"
#include "state_store/store_format.h"
#include "state_store/user_cache.h"

namespace qlarank::rocksdb_internal {

class RocksDbStateStore final : public StateStore {
 public:
  explicit RocksDbStateStore(OpenedStore store);

  // Flushes, unless it was opened to be read.
  ~RocksDbStateStore() override;

  uint32_t num_partitions() const override { return num_partitions_; }
  // The only one that a store can be opened with.
  uint32_t format() const override { return kStoreFormat; }
  using StateStore::AppendEvents;
  absl::Status AppendEvents(absl::Span<const UserAppend> appends,
                            absl::Span<const Mark> marks) override;
  absl::StatusOr<std::optional<std::string>> GetMark(
      absl::string_view name) const override;
  absl::StatusOr<std::vector<Mark>> ListMarks() const override;
  absl::StatusOr<UserHead> GetHead(absl::string_view user_id) const override {
    return ReadHead(user_id);
  }
  absl::StatusOr<std::shared_ptr<const UserHead>> GetHeadToExtend(
      absl::string_view user_id) const override;
  absl::StatusOr<std::vector<LoggedEvent>> ReadEvents(
      absl::string_view user_id, uint64_t from_sequence,
      size_t limit) const override;
  absl::StatusOr<uint32_t> PutSchema(
      const std::vector<std::string>& event_features) override
      ABSL_LOCKS_EXCLUDED(schemas_mutex_);
  absl::StatusOr<std::vector<std::vector<std::string>>> ListSchemas()
      const override;
  absl::Status ForEachUser(
      absl::FunctionRef<bool(absl::string_view user_id, const UserHead& head)>
          visit) const override;
  absl::StatusOr<std::unique_ptr<LogWalk>> WalkLogs(
      absl::string_view from_user) const override;
  absl::Status OpenFingerprint(absl::string_view fingerprint) override;
  absl::Status DropFingerprint(absl::string_view fingerprint) override;
  absl::StatusOr<std::vector<std::string>> ListFingerprints() const override;
  std::vector<StatesSize> MeasureStates() const override;
  absl::StatusOr<size_t> PutSnapshots(
      absl::string_view fingerprint,
      absl::Span<const UserSnapshot> snapshots) override;
  absl::StatusOr<std::optional<Snapshot>> GetSnapshot(
      absl::string_view fingerprint, absl::string_view user_id) const override;
  absl::StatusOr<PublishedState> ReadPublished(absl::string_view fingerprint,
                                               absl::string_view user_id,
                                               const HeldState* held,
                                               size_t limit) const override;
  absl::Status AppendEntries(
      absl::Span<const CatalogueEntry> entries) override;
  absl::StatusOr<std::vector<CatalogueEntry>> ReadEntries(
      uint64_t from_version, size_t limit) const override;
  absl::StatusOr<uint64_t> NewestCatalogueVersion() const override;
  absl::Status PutSourceMark(absl::string_view source,
                             const SourceMark& mark) override;
  absl::StatusOr<std::optional<SourceMark>> GetSourceMark(
      absl::string_view source) const override;
  absl::Status ForEachSourceMark(
      absl::FunctionRef<void(absl::string_view source, const SourceMark& mark)>
          visit) const override;
  using StateStore::DeleteUser;
  absl::StatusOr<uint64_t> DeleteUser(absl::string_view user_id,
                                      const ErasureNote& note) override;
  absl::StatusOr<std::vector<Erasure>> ListErasures(
      absl::string_view user_id, size_t limit) const override;
  std::string DigestOfUser(absl::string_view user_id) const override;
  using StateStore::PurgeErased;
  absl::StatusOr<uint64_t> PurgeErased(PurgePause pause) override;
  absl::Status TrimLog(absl::string_view user_id, uint64_t first_kept,
                       absl::Span<const std::string> fingerprints) override;
  absl::Status Flush() override;
  absl::Status WriteFault() const override { return write_faults_->fault(); }
  absl::Status Checkpoint(const std::string& path) override;
  absl::StatusOr<BackupInfo> Backup(const std::string& folder,
                                    uint32_t keep) override;
  std::map<std::string, double> Statistics() const override;

 private:
  // Erasure of a user excludes writing their snapshots and looking twice at
  // their log; other users rarely notice.
  static constexpr size_t kSnapshotLocks = 64;

  // The lock of this user and of some others.
  absl::Mutex& SnapshotLock(absl::string_view user_id) const;

  // The column family of a fingerprint's snapshots; null when it is not open.
  ColumnFamily States(absl::string_view fingerprint) const
      ABSL_LOCKS_EXCLUDED(states_mutex_);

  // The column family of the catalogue; null while it has no entry.
  ColumnFamily Catalogue() const ABSL_LOCKS_EXCLUDED(states_mutex_);
  // Made if it is not there.
  absl::StatusOr<ColumnFamily> CatalogueToExtend()
      ABSL_LOCKS_EXCLUDED(states_mutex_);

  // All that hold records: without the default one.
  std::vector<ColumnFamily> AllColumnFamilies() const
      ABSL_LOCKS_EXCLUDED(states_mutex_);

  friend class RocksDbLogWalk;

  // GetHead, as of any moment.
  absl::StatusOr<UserHead> ReadHead(
      absl::string_view user_id,
      const rocksdb::ReadOptions& options = rocksdb::ReadOptions()) const;
  // GetSnapshot, out of the column family of the fingerprint.
  absl::StatusOr<std::optional<Snapshot>> ReadSnapshot(
      const ColumnFamily& states, absl::string_view fingerprint,
      absl::string_view user_id, const rocksdb::ReadOptions& options) const;
  // ReadEvents of valid arguments. DATA_LOSS also when the user is deleted on
  // the way.
  absl::StatusOr<std::vector<LoggedEvent>> ReadCheckedEvents(
      absl::string_view user_id, uint64_t from_sequence, size_t limit) const;
  // The same without the comparison with the head.
  absl::StatusOr<std::vector<LoggedEvent>> ScanLog(
      absl::string_view user_id, uint64_t from_sequence, size_t limit,
      rocksdb::ReadOptions options = rocksdb::ReadOptions()) const;
  // ReadPublished, of the moment that `options` name, if they do.
  absl::StatusOr<PublishedState> LookUpPublished(
      const ColumnFamily& states, absl::string_view fingerprint,
      absl::string_view user_id, const HeldState* held, size_t limit,
      const rocksdb::ReadOptions& options) const;
  // At most `limit` events as far as `head` counts them, of the moment that
  // `options` name, as `head` is.
  absl::StatusOr<std::vector<LoggedEvent>> ScanCounted(
      absl::string_view user_id, const UserHead& head, uint64_t from_sequence,
      size_t limit, const rocksdb::ReadOptions& options) const;
  // The number of records in the log of a user, readable or not. Reads them
  // all.
  absl::StatusOr<uint64_t> CountLog(absl::string_view user_id) const;

  // The snapshot of a user in a column family, nullopt also for one that is
  // damaged or cannot be read.
  std::optional<Snapshot> StoredSnapshot(const ColumnFamily& states,
                                         absl::string_view fingerprint,
                                         const std::string& user_key) const;

  // Whether there may be a snapshot of a user. False is certain.
  bool MayHaveSnapshot(const std::string& user_key) const
      ABSL_LOCKS_EXCLUDED(states_mutex_);

  // Visits the records of erasures, the newest first, until `visit` returns
  // false.
  absl::Status ForEachErasure(
      absl::FunctionRef<bool(absl::string_view key,
                             const StoredErasure& erasure)>
          visit) const;
  // An erasure whose records are still in the files, by its key.
  struct PendingErasure {
    std::string key;
    StoredErasure erasure;
  };
  // All of them, in the order of the users' keys.
  absl::StatusOr<std::vector<PendingErasure>> ListPending() const;
  // About how many bytes all column families hold from one 8-byte prefix of
  // keys to another, both included.
  uint64_t BytesOfRange(absl::string_view first, absl::string_view last) const;
  // Rewrites the table files that hold any of these keys.
  absl::Status CompactRange(absl::string_view first, absl::string_view last);
  absl::Status RecordPurged(absl::Span<PendingErasure> purged);
  // Rewrites the records of erasures, so that their older versions, with the
  // prefixes of users' keys, leave the files. There are few.
  absl::Status ClearErasures();

  // The one way of every write once it is open. While writes are refused RocksDB
  // is not asked: a write that fails while it recovers (rocksdb_recovery.h) is taken for a
  // failure of the recovery, after which it may wait for a flush for ever.
  absl::Status Write(const rocksdb::WriteOptions& options,
                     rocksdb::WriteBatch& batch, absl::string_view doing);

  const RocksDbOptions options_;
  const uint32_t num_partitions_;
  const std::shared_ptr<rocksdb::Cache> cache_;
  const std::shared_ptr<rocksdb::Statistics> statistics_;
  const std::shared_ptr<WriteFaults> write_faults_;
  const std::unique_ptr<rocksdb::DB> db_;
  const ColumnFamily log_;
  const ColumnFamily heads_;
  const std::string digest_key_;
  std::atomic<uint64_t> next_erasure_;
  // Whether ClearErasures has done its work since the store was opened and
  // since the last purge was recorded.
  std::atomic<bool> erasures_cleared_ = false;
  std::atomic<int64_t> erasures_pending_ = 0;  // not purged yet; about
  std::atomic<uint64_t> snapshots_refused_ = 0;
  rocksdb::WriteOptions synced_;    // in the WAL, synced if the options say so
  rocksdb::WriteOptions unlogged_;  // not in the WAL

  // Heads as they were written last, for who writes them: they are put here a
  // moment after they can be read, and nobody else looks.
  mutable UserCache<UserHead> head_cache_;

  absl::Mutex put_snapshots_mutex_;
  mutable std::array<absl::Mutex, kSnapshotLocks> snapshot_locks_;

  absl::Mutex schemas_mutex_;  // of two that record one, one is first

  // Held by readers across a write to all column families, so that none is
  // dropped on the way.
  mutable absl::Mutex states_mutex_;
  std::map<std::string, ColumnFamily, std::less<>> states_
      ABSL_GUARDED_BY(states_mutex_);
  ColumnFamily catalogue_ ABSL_GUARDED_BY(states_mutex_);

  // Null where the store was opened to be read. Stops first.
  const std::unique_ptr<Recovery> recovery_;
};

}  // namespace qlarank::rocksdb_internal

#endif  // QLARANK_STATE_STORE_ROCKSDB_STATE_STORE_IMPL_H_
