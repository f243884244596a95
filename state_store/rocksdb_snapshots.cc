// Snapshots, and the erasure of a user. They are side by side because of what
// must hold between them: a late snapshot does not bring an erased user back.

#include <algorithm>
#include <deque>
#include <limits>
#include <set>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "rocksdb/db.h"
#include "rocksdb/write_batch.h"
#include "state_store/failpoint.h"
#include "state_store/keys.h"
#include "state_store/record_names.h"
#include "state_store/records.h"
#include "state_store/rocksdb_state_store_impl.h"
#include "state_store/rocksdb_tuning.h"
#include "state_store/user_digest.h"
#include "state_store/validation.h"

namespace qlarank::rocksdb_internal {

absl::Status RocksDbStateStore::OpenFingerprint(absl::string_view fingerprint) {
  absl::Status status = ValidateFingerprint(fingerprint);
  if (!status.ok()) return status;
  absl::MutexLock lock(&states_mutex_);
  if (states_.contains(fingerprint)) return absl::OkStatus();
  rocksdb::ColumnFamilyHandle* handle = nullptr;
  status =
      ToAbslStatus(db_->CreateColumnFamily(
                       MakeStatesOptions(options_, cache_),
                       absl::StrCat(kStatesPrefix, fingerprint), &handle),
                   absl::StrCat("making room for fingerprint ", fingerprint));
  if (!status.ok()) return status;
  states_.emplace(fingerprint, handle);
  return absl::OkStatus();
}

absl::Status RocksDbStateStore::DropFingerprint(absl::string_view fingerprint) {
  absl::MutexLock lock(&states_mutex_);
  const auto it = states_.find(fingerprint);
  if (it == states_.end()) return absl::OkStatus();
  absl::Status status =
      ToAbslStatus(db_->DropColumnFamily(it->second.get()),
                   absl::StrCat("dropping fingerprint ", fingerprint));
  if (status.ok()) states_.erase(it);
  return status;
}

absl::StatusOr<std::vector<std::string>> RocksDbStateStore::ListFingerprints()
    const {
  absl::ReaderMutexLock lock(&states_mutex_);
  std::vector<std::string> fingerprints;
  for (const auto& [fingerprint, unused] : states_) {
    fingerprints.push_back(fingerprint);
  }
  return fingerprints;
}

absl::StatusOr<size_t> RocksDbStateStore::PutSnapshots(
    absl::string_view fingerprint, absl::Span<const UserSnapshot> snapshots) {
  // From the comparison with what is stored until it is replaced.
  absl::MutexLock one_at_a_time(&put_snapshots_mutex_);
  std::set<absl::Mutex*> users_locks;
  for (const UserSnapshot& snapshot : snapshots) {
    users_locks.insert(&SnapshotLock(snapshot.user_id));
  }
  std::deque<absl::ReaderMutexLock> held;
  for (absl::Mutex* lock : users_locks) held.emplace_back(lock);
  // Held until it is written: a batch for a column family that was dropped on
  // the way fails the whole group that RocksDB writes it with, appends too.
  absl::ReaderMutexLock lock(&states_mutex_);
  const auto states = states_.find(fingerprint);
  absl::Status status;
  rocksdb::WriteBatch batch;
  absl::flat_hash_map<std::string, Snapshot> in_batch;  // by key
  size_t refused = 0;
  for (const auto& [user_id, snapshot] : snapshots) {
    const absl::StatusOr<UserHead> head = GetHead(user_id);
    status.Update(head.status());
    if (!head.ok() || states == states_.end()) continue;
    if (head->incarnation == 0 ||  // no such user, whatever a snapshot says
        head->incarnation != snapshot.incarnation) {
      continue;
    }
    const std::string key = UserKey(user_id);
    const auto earlier = in_batch.find(key);
    const std::optional<Snapshot> stored =
        earlier == in_batch.end()
            ? StoredSnapshot(states->second, fingerprint, key)
            : earlier->second;
    if (GoesBack(*head, stored, snapshot)) {
      ++refused;
      continue;
    }
    batch.Put(states->second.get(), key,
              EncodeSnapshot(key, fingerprint, snapshot));
    Snapshot& newest = in_batch[key];
    newest.incarnation = snapshot.incarnation;
    newest.folded_sequence = snapshot.folded_sequence;
  }
  snapshots_refused_ += refused;
  if (status.ok() && states == states_.end()) {
    return FingerprintNotOpenError(fingerprint);
  }
  if (batch.Count() > 0) {
    status.Update(Write(unlogged_, batch,
                        absl::StrCat("writing ", batch.Count(),
                                     " snapshots under ", fingerprint)));
  }
  if (!status.ok()) return status;
  return refused;
}

std::optional<Snapshot> RocksDbStateStore::StoredSnapshot(
    const ColumnFamily& states, absl::string_view fingerprint,
    const std::string& user_key) const {
  rocksdb::PinnableSlice value;
  const rocksdb::Status read =
      db_->Get(rocksdb::ReadOptions(), states.get(), user_key, &value);
  if (!read.ok()) return std::nullopt;
  auto snapshot = DecodeSnapshot(user_key, fingerprint, ToView(value));
  if (!snapshot.ok()) return std::nullopt;
  return *std::move(snapshot);
}

absl::StatusOr<std::optional<Snapshot>> RocksDbStateStore::GetSnapshot(
    absl::string_view fingerprint, absl::string_view user_id) const {
  absl::Status status = ValidateUserId(user_id);
  if (!status.ok()) return status;
  const ColumnFamily states = States(fingerprint);
  if (states == nullptr) return FingerprintNotOpenError(fingerprint);
  return ReadSnapshot(states, fingerprint, user_id, rocksdb::ReadOptions());
}

absl::StatusOr<std::optional<Snapshot>> RocksDbStateStore::ReadSnapshot(
    const ColumnFamily& states, absl::string_view fingerprint,
    absl::string_view user_id, const rocksdb::ReadOptions& options) const {
  const std::string key = UserKey(user_id);
  rocksdb::PinnableSlice value;
  const rocksdb::Status read = db_->Get(options, states.get(), key, &value);
  if (read.IsNotFound()) return std::optional<Snapshot>();
  if (!read.ok()) {
    return ToAbslStatus(read, SnapshotName(fingerprint, user_id));
  }
  absl::StatusOr<Snapshot> snapshot =
      DecodeSnapshot(key, fingerprint, ToView(value));
  if (!snapshot.ok()) {
    return Prefixed(SnapshotName(fingerprint, user_id), snapshot.status());
  }
  return std::optional<Snapshot>(*std::move(snapshot));
}

bool RocksDbStateStore::MayHaveSnapshot(const std::string& user_key) const {
  absl::ReaderMutexLock lock(&states_mutex_);
  for (const auto& [fingerprint, states] : states_) {
    std::string unused;
    if (db_->KeyMayExist(rocksdb::ReadOptions(), states.get(), user_key,
                         &unused)) {
      return true;
    }
  }
  return false;
}

absl::StatusOr<uint64_t> RocksDbStateStore::DeleteUser(
    absl::string_view user_id, const ErasureNote& note) {
  absl::Status status = ValidateUserId(user_id);
  if (!status.ok()) return status;
  absl::MutexLock snapshot_lock(&SnapshotLock(user_id));
  uint64_t removed = 0;
  // The events go as one range: the cost does not grow with their number,
  // unless there is no good head and they have to be counted.
  absl::StatusOr<UserHead> head = GetHead(user_id);
  if (head.ok() && head->incarnation != 0) {
    removed = head->num_events();
  } else {  // a damaged head is no reason to keep what it counts
    absl::StatusOr<uint64_t> count = CountLog(user_id);
    if (!count.ok()) return count.status();
    removed = *count;
  }
  const std::string user_key = UserKey(user_id);
  // Nothing to erase, and so nothing to write. Once a write has failed this is
  // not known: what it was to append may still be found after a restart.
  if (removed == 0 && head.ok() && head->incarnation == 0 &&
      write_faults_->times_refused() == 0 && !MayHaveSnapshot(user_key)) {
    return 0;
  }
  rocksdb::WriteBatch batch;
  batch.DeleteRange(log_.get(), LogKey(user_id, 0),
                    AfterLogKey(user_id, std::numeric_limits<uint64_t>::max()));
  batch.Delete(heads_.get(), user_key);
  const bool recorded =
      removed > 0 || !head.ok() || head->incarnation != 0;
  if (recorded) {
    const std::string key = ErasureKey(next_erasure_++);
    StoredErasure erasure;
    erasure.user_digest = UserDigest(digest_key_, user_id);
    erasure.note = note;
    erasure.events = removed;
    erasure.key_prefix = user_key.substr(0, kUserHashBytes);
    batch.Put(db_->DefaultColumnFamily(), key, EncodeErasure(key, erasure));
  }
  absl::ReaderMutexLock lock(&states_mutex_);
  for (const auto& [fingerprint, states] : states_) {
    batch.Delete(states.get(), user_key);
  }
  QLARANK_FAILPOINT("delete.before_write");
  status = Write(synced_, batch,
                 absl::StrCat("deleting user ", QuotedUser(user_id)));
  head_cache_.Erase(user_id);
  if (!status.ok()) return status;
  if (recorded) ++erasures_pending_;
  return removed;
}

absl::Status RocksDbStateStore::TrimLog(
    absl::string_view user_id, uint64_t first_kept,
    absl::Span<const std::string> fingerprints) {
  absl::Status status = ValidateUserId(user_id);
  if (!status.ok()) return status;
  // No snapshot may take the place of those that are looked at here.
  absl::MutexLock snapshot_lock(&SnapshotLock(user_id));
  absl::StatusOr<UserHead> head = GetHead(user_id);
  if (!head.ok()) return head.status();
  status = ValidateTrim(user_id, *head, first_kept, fingerprints);
  if (!status.ok()) return status;
  if (head->incarnation == 0 || first_kept <= head->first_sequence) {
    return absl::OkStatus();
  }
  const std::string user_key = UserKey(user_id);
  rocksdb::WriteBatch batch;
  absl::ReaderMutexLock lock(&states_mutex_);
  for (const std::string& fingerprint : fingerprints) {
    const auto states = states_.find(fingerprint);
    if (states == states_.end()) return FingerprintNotOpenError(fingerprint);
    rocksdb::PinnableSlice value;
    const rocksdb::Status read = db_->Get(
        rocksdb::ReadOptions(), states->second.get(), user_key, &value);
    std::optional<Snapshot> snapshot;
    if (read.ok()) {
      auto decoded = DecodeSnapshot(user_key, fingerprint, ToView(value));
      if (decoded.ok()) snapshot = *std::move(decoded);
    }
    status =
        ValidateStandsFor(fingerprint, user_id, *head, snapshot, first_kept);
    if (!status.ok()) return status;
    // Once more, in the WAL this time: a crash would lose one that is not, and
    // the events that it could be made of again go with this batch.
    batch.Put(states->second.get(), user_key, value);
  }
  // Of models that are served no more: one that does not reach up to what is kept
  // is of no use ever after.
  for (const auto& [fingerprint, states] : states_) {
    if (std::count(fingerprints.begin(), fingerprints.end(), fingerprint) > 0) {
      continue;
    }
    rocksdb::PinnableSlice value;
    const rocksdb::Status read =
        db_->Get(rocksdb::ReadOptions(), states.get(), user_key, &value);
    if (!read.ok()) continue;
    const auto snapshot = DecodeSnapshot(user_key, fingerprint, ToView(value));
    if (!snapshot.ok() || snapshot->folded_sequence + 1 < first_kept) {
      batch.Delete(states.get(), user_key);
    }
  }
  head->first_sequence = first_kept;
  batch.DeleteRange(log_.get(), LogKey(user_id, 0),
                    LogKey(user_id, first_kept));
  batch.Put(heads_.get(), user_key, EncodeHead(user_key, *head));
  QLARANK_FAILPOINT("trim.before_write");
  status = Write(synced_, batch,
                 absl::StrCat("trimming the log of user ",
                              QuotedUser(user_id)));
  QLARANK_FAILPOINT("trim.written");
  head_cache_.Erase(user_id);
  return status;
}

}  // namespace qlarank::rocksdb_internal
