#include "state_store/rocksdb_state_store.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <limits>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/hash/hash.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "absl/synchronization/mutex.h"
#include "rocksdb/cache.h"
#include "rocksdb/db.h"
#include "rocksdb/statistics.h"
#include "rocksdb/write_batch.h"
#include "state_store/keys.h"
#include "state_store/records.h"
#include "state_store/rocksdb_tuning.h"
#include "state_store/validation.h"

namespace qlarank {
namespace {

using rocksdb_internal::ToAbslStatus;
using ColumnFamily = std::shared_ptr<rocksdb::ColumnFamilyHandle>;

constexpr absl::string_view kLogName = "log";
constexpr absl::string_view kHeadsName = "heads";
constexpr absl::string_view kStatesPrefix = "state-";

// In the default column family, which holds nothing else.
constexpr absl::string_view kFormatKey = "qlarank format";
constexpr absl::string_view kFormat = "qlarank store, format 1";
constexpr absl::string_view kFormatStem = "qlarank store, format ";

rocksdb::Slice ToSlice(absl::string_view s) { return {s.data(), s.size()}; }
absl::string_view ToView(const rocksdb::Slice& s) {
  return {s.data(), s.size()};
}

absl::Status Prefixed(absl::string_view prefix, const absl::Status& status) {
  return absl::Status(status.code(),
                      absl::StrCat(prefix, ": ", status.message()));
}

std::string EventName(absl::string_view user_id, uint64_t sequence) {
  return absl::StrCat("event ", sequence, " of user ", QuotedUser(user_id));
}
std::string HeadName(absl::string_view user_id) {
  return absl::StrCat("head of user ", QuotedUser(user_id));
}
std::string SnapshotName(absl::string_view fingerprint,
                         absl::string_view user_id) {
  return absl::StrCat("snapshot of user ", QuotedUser(user_id),
                      " under fingerprint ", fingerprint);
}

// The smallest key after every key of the user up to this sequence.
std::string KeyAfter(absl::string_view user_id, uint64_t sequence) {
  std::string key = LogKey(user_id, sequence);
  key.push_back('\0');
  return key;
}

class RocksDbStateStore final : public StateStore {
 public:
  struct Parts {
    RocksDbOptions options;
    std::shared_ptr<rocksdb::Cache> cache;
    std::shared_ptr<rocksdb::Statistics> statistics;
    std::unique_ptr<rocksdb::DB> db;
    // Of `db`, so released before it.
    ColumnFamily log;
    ColumnFamily heads;
    std::map<std::string, ColumnFamily, std::less<>> states;  // by fingerprint
  };

  explicit RocksDbStateStore(Parts parts)
      : options_(std::move(parts.options)),
        cache_(std::move(parts.cache)),
        statistics_(std::move(parts.statistics)),
        db_(std::move(parts.db)),
        log_(std::move(parts.log)),
        heads_(std::move(parts.heads)),
        states_(std::move(parts.states)) {
    synced_.sync = options_.sync_log;
    unlogged_.disableWAL = true;
  }

  // Closing the database flushes what is not in the WAL.
  ~RocksDbStateStore() override = default;

  absl::Status AppendEvents(absl::Span<const UserAppend> appends) override;
  absl::StatusOr<UserHead> GetHead(absl::string_view user_id) const override;
  absl::StatusOr<std::vector<LoggedEvent>> ReadEvents(
      absl::string_view user_id, uint64_t from_sequence,
      size_t limit) const override;
  absl::Status ForEachUser(
      absl::FunctionRef<bool(absl::string_view user_id, const UserHead& head)>
          visit) const override;
  absl::Status OpenFingerprint(absl::string_view fingerprint) override;
  absl::Status DropFingerprint(absl::string_view fingerprint) override;
  absl::StatusOr<std::vector<std::string>> ListFingerprints() const override;
  absl::Status PutSnapshot(absl::string_view fingerprint,
                           absl::string_view user_id,
                           const Snapshot& snapshot) override;
  absl::StatusOr<std::optional<Snapshot>> GetSnapshot(
      absl::string_view fingerprint, absl::string_view user_id) const override;
  absl::StatusOr<uint64_t> DeleteUser(absl::string_view user_id) override;
  absl::Status Flush() override;
  std::map<std::string, double> Statistics() const override;

 private:
  // Erasure and snapshots of one user exclude each other; other users rarely
  // notice.
  static constexpr size_t kSnapshotLocks = 64;

  absl::Mutex& SnapshotLock(absl::string_view user_id) const {
    return snapshot_locks_[absl::HashOf(user_id) % kSnapshotLocks];
  }

  // Null when it is not open. A dropped column family stays readable for those
  // who hold it.
  ColumnFamily States(absl::string_view fingerprint) const {
    absl::ReaderMutexLock lock(&states_mutex_);
    const auto it = states_.find(fingerprint);
    return it == states_.end() ? nullptr : it->second;
  }

  std::vector<ColumnFamily> AllColumnFamilies() const;

  // ReadEvents without the comparison with the head.
  absl::StatusOr<std::vector<LoggedEvent>> ScanLog(absl::string_view user_id,
                                                   uint64_t from_sequence,
                                                   size_t limit) const;
  // The number of records in the log of a user, readable or not.
  absl::StatusOr<uint64_t> CountLog(absl::string_view user_id) const;

  const RocksDbOptions options_;
  const std::shared_ptr<rocksdb::Cache> cache_;
  const std::shared_ptr<rocksdb::Statistics> statistics_;
  const std::unique_ptr<rocksdb::DB> db_;
  const ColumnFamily log_;
  const ColumnFamily heads_;
  rocksdb::WriteOptions synced_;    // in the WAL, synced if the options say so
  rocksdb::WriteOptions unlogged_;  // not in the WAL

  mutable std::array<absl::Mutex, kSnapshotLocks> snapshot_locks_;

  // Held by readers across a write to all column families, so that none is
  // dropped on the way.
  mutable absl::Mutex states_mutex_;
  std::map<std::string, ColumnFamily, std::less<>> states_
      ABSL_GUARDED_BY(states_mutex_);
};

// -- The event log ------------------------------------------------------------

absl::Status RocksDbStateStore::AppendEvents(
    absl::Span<const UserAppend> appends) {
  absl::Status status = ValidateAppends(appends);
  if (!status.ok()) return status;
  rocksdb::WriteBatch batch;
  for (const UserAppend& append : appends) {
    absl::StatusOr<UserHead> head = GetHead(append.user_id);
    if (!head.ok()) return head.status();
    status = ValidateContinues(*head, append);
    if (!status.ok()) return status;

    uint64_t sequence = append.head_after.last_sequence - append.events.size();
    std::string key = LogKey(append.user_id, sequence);
    for (const LoggedEvent& event : append.events) {
      SetSequence(key, ++sequence);
      batch.Put(log_.get(), key, EncodeEvent(key, event));
    }
    const std::string head_key = UserKey(append.user_id);
    batch.Put(heads_.get(), head_key, EncodeHead(head_key, append.head_after));
  }
  if (batch.Count() == 0) return absl::OkStatus();
  return ToAbslStatus(db_->Write(synced_, &batch), "appending events");
}

absl::StatusOr<UserHead> RocksDbStateStore::GetHead(
    absl::string_view user_id) const {
  absl::Status status = ValidateUserId(user_id);
  if (!status.ok()) return status;
  const std::string key = UserKey(user_id);
  rocksdb::PinnableSlice value;
  const rocksdb::Status read =
      db_->Get(rocksdb::ReadOptions(), heads_.get(), key, &value);
  if (read.IsNotFound()) return UserHead();
  if (!read.ok()) return ToAbslStatus(read, HeadName(user_id));
  absl::StatusOr<UserHead> head = DecodeHead(key, ToView(value));
  if (!head.ok()) return Prefixed(HeadName(user_id), head.status());
  return head;
}

absl::StatusOr<std::vector<LoggedEvent>> RocksDbStateStore::ScanLog(
    absl::string_view user_id, uint64_t from_sequence, size_t limit) const {
  constexpr uint64_t kMaxSequence = std::numeric_limits<uint64_t>::max();
  const uint64_t last_sequence = limit - 1 > kMaxSequence - from_sequence
                                     ? kMaxSequence
                                     : from_sequence + (limit - 1);
  const std::string user_key = UserKey(user_id);
  const std::string upper_bound = KeyAfter(user_id, last_sequence);
  const rocksdb::Slice upper_bound_slice = upper_bound;
  rocksdb::ReadOptions read_options;
  read_options.iterate_upper_bound = &upper_bound_slice;
  read_options.prefix_same_as_start = true;
  const std::unique_ptr<rocksdb::Iterator> it(
      db_->NewIterator(read_options, log_.get()));

  std::vector<LoggedEvent> events;
  uint64_t expected = from_sequence;
  for (it->Seek(LogKey(user_id, from_sequence)); it->Valid(); it->Next()) {
    const absl::string_view key = ToView(it->key());
    if (SequenceOfLogKey(key, user_key) != expected) {
      return absl::DataLossError(
          absl::StrCat(EventName(user_id, expected), ": missing"));
    }
    absl::StatusOr<LoggedEvent> event = DecodeEvent(key, ToView(it->value()));
    if (!event.ok())
      return Prefixed(EventName(user_id, expected), event.status());
    events.push_back(*std::move(event));
    ++expected;
  }
  if (!it->status().ok()) {
    return ToAbslStatus(it->status(), EventName(user_id, expected));
  }
  return events;
}

absl::StatusOr<std::vector<LoggedEvent>> RocksDbStateStore::ReadEvents(
    absl::string_view user_id, uint64_t from_sequence, size_t limit) const {
  absl::Status status = ValidateRead(user_id, from_sequence);
  if (!status.ok()) return status;
  if (limit == 0) return std::vector<LoggedEvent>();
  absl::StatusOr<UserHead> head = GetHead(user_id);
  if (!head.ok()) return head.status();
  while (true) {
    // After the head, so the log has at least the events that the head counts,
    // unless the user was deleted in between.
    absl::StatusOr<std::vector<LoggedEvent>> events =
        ScanLog(user_id, from_sequence, limit);
    const uint64_t due = head->last_sequence < from_sequence
                             ? 0
                             : head->last_sequence - from_sequence + 1;
    if (events.ok() && events->size() >= std::min<uint64_t>(due, limit) &&
        (events->size() <= due)) {
      return events;
    }
    // More or fewer events than due, or none readable. An append or an erasure
    // on the way explains it if the head has changed.
    absl::StatusOr<UserHead> head_now = GetHead(user_id);
    if (!head_now.ok()) return head_now.status();
    if (head_now->incarnation == head->incarnation) {
      if (!events.ok()) return events.status();
      if (events->size() < due && events->size() < limit) {
        return absl::DataLossError(absl::StrCat(
            EventName(user_id, from_sequence + events->size()), ": missing"));
      }
      if (from_sequence + events->size() - 1 > head_now->last_sequence) {
        return absl::DataLossError(
            absl::StrCat(EventName(user_id, head_now->last_sequence + 1),
                         ": found in the log, but the head counts only ",
                         head_now->last_sequence, " events"));
      }
      return events;
    }
    head = std::move(head_now);
  }
}

absl::StatusOr<uint64_t> RocksDbStateStore::CountLog(
    absl::string_view user_id) const {
  const std::string upper_bound =
      KeyAfter(user_id, std::numeric_limits<uint64_t>::max());
  const rocksdb::Slice upper_bound_slice = upper_bound;
  rocksdb::ReadOptions read_options;
  read_options.iterate_upper_bound = &upper_bound_slice;
  read_options.prefix_same_as_start = true;
  const std::unique_ptr<rocksdb::Iterator> it(
      db_->NewIterator(read_options, log_.get()));
  uint64_t count = 0;
  for (it->Seek(LogKey(user_id, 0)); it->Valid(); it->Next()) ++count;
  if (!it->status().ok()) {
    return ToAbslStatus(it->status(),
                        absl::StrCat("log of user ", QuotedUser(user_id)));
  }
  return count;
}

absl::Status RocksDbStateStore::ForEachUser(
    absl::FunctionRef<bool(absl::string_view user_id, const UserHead& head)>
        visit) const {
  rocksdb::ReadOptions read_options;
  read_options.fill_cache = false;  // a scan must not evict what is in use
  const std::unique_ptr<rocksdb::Iterator> it(
      db_->NewIterator(read_options, heads_.get()));
  absl::Status first_damage;
  uint64_t damaged = 0;
  for (it->SeekToFirst(); it->Valid(); it->Next()) {
    const absl::string_view key = ToView(it->key());
    const std::optional<absl::string_view> user_id = UserOfUserKey(key);
    absl::StatusOr<UserHead> head = DecodeHead(key, ToView(it->value()));
    if (user_id.has_value() && head.ok()) {
      if (!visit(*user_id, *head)) break;
      continue;
    }
    if (++damaged > 1) continue;
    first_damage = Prefixed(
        HeadName(user_id.value_or(key)),
        head.ok() ? absl::DataLossError("its key is damaged") : head.status());
  }
  if (!it->status().ok()) return ToAbslStatus(it->status(), "reading heads");
  if (damaged > 0) {
    return Prefixed(absl::StrCat(damaged, " damaged, the first"), first_damage);
  }
  return absl::OkStatus();
}

// -- Snapshots ----------------------------------------------------------------

absl::Status RocksDbStateStore::OpenFingerprint(absl::string_view fingerprint) {
  absl::Status status = ValidateFingerprint(fingerprint);
  if (!status.ok()) return status;
  absl::MutexLock lock(&states_mutex_);
  if (states_.contains(fingerprint)) return absl::OkStatus();
  rocksdb::ColumnFamilyHandle* handle = nullptr;
  status =
      ToAbslStatus(db_->CreateColumnFamily(
                       rocksdb_internal::MakeStatesOptions(options_, cache_),
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

absl::Status RocksDbStateStore::PutSnapshot(absl::string_view fingerprint,
                                            absl::string_view user_id,
                                            const Snapshot& snapshot) {
  const ColumnFamily states = States(fingerprint);
  if (states == nullptr) return FingerprintNotOpenError(fingerprint);
  absl::ReaderMutexLock lock(&SnapshotLock(user_id));
  absl::StatusOr<UserHead> head = GetHead(user_id);
  if (!head.ok()) return head.status();
  if (head->incarnation != snapshot.incarnation) return absl::OkStatus();
  const std::string key = UserKey(user_id);
  const rocksdb::Status written = db_->Put(
      unlogged_, states.get(), key, EncodeSnapshot(key, fingerprint, snapshot));
  if (!written.ok() && States(fingerprint) != states) {  // dropped on the way
    return FingerprintNotOpenError(fingerprint);
  }
  return ToAbslStatus(written, SnapshotName(fingerprint, user_id));
}

absl::StatusOr<std::optional<Snapshot>> RocksDbStateStore::GetSnapshot(
    absl::string_view fingerprint, absl::string_view user_id) const {
  absl::Status status = ValidateUserId(user_id);
  if (!status.ok()) return status;
  const ColumnFamily states = States(fingerprint);
  if (states == nullptr) return FingerprintNotOpenError(fingerprint);
  const std::string key = UserKey(user_id);
  rocksdb::PinnableSlice value;
  const rocksdb::Status read =
      db_->Get(rocksdb::ReadOptions(), states.get(), key, &value);
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

// -- Erasure and upkeep -------------------------------------------------------

absl::StatusOr<uint64_t> RocksDbStateStore::DeleteUser(
    absl::string_view user_id) {
  absl::Status status = ValidateUserId(user_id);
  if (!status.ok()) return status;
  absl::MutexLock snapshot_lock(&SnapshotLock(user_id));
  uint64_t removed = 0;
  absl::StatusOr<UserHead> head = GetHead(user_id);
  if (head.ok() && head->incarnation != 0) {
    removed = head->last_sequence;
  } else {  // a damaged head is no reason to keep what it counts
    absl::StatusOr<uint64_t> count = CountLog(user_id);
    if (!count.ok()) return count.status();
    removed = *count;
  }
  const std::string user_key = UserKey(user_id);
  rocksdb::WriteBatch batch;
  batch.DeleteRange(log_.get(), LogKey(user_id, 0),
                    KeyAfter(user_id, std::numeric_limits<uint64_t>::max()));
  batch.Delete(heads_.get(), user_key);
  absl::ReaderMutexLock lock(&states_mutex_);
  for (const auto& [fingerprint, states] : states_) {
    batch.Delete(states.get(), user_key);
  }
  status = ToAbslStatus(db_->Write(synced_, &batch),
                        absl::StrCat("deleting user ", QuotedUser(user_id)));
  if (!status.ok()) return status;
  return removed;
}

std::vector<ColumnFamily> RocksDbStateStore::AllColumnFamilies() const {
  std::vector<ColumnFamily> all = {log_, heads_};
  absl::ReaderMutexLock lock(&states_mutex_);
  for (const auto& [fingerprint, states] : states_) all.push_back(states);
  return all;
}

absl::Status RocksDbStateStore::Flush() {
  absl::Status status = ToAbslStatus(db_->FlushWAL(/*sync=*/true), "flushing");
  if (!status.ok()) return status;
  for (const ColumnFamily& column_family : AllColumnFamilies()) {
    const rocksdb::Status flushed =
        db_->Flush(rocksdb::FlushOptions(), column_family.get());
    if (flushed.IsColumnFamilyDropped()) continue;
    if (!flushed.ok()) return ToAbslStatus(flushed, "flushing");
  }
  return absl::OkStatus();
}

std::map<std::string, double> RocksDbStateStore::Statistics() const {
  using Properties = rocksdb::DB::Properties;
  std::map<std::string, double> figures;
  const auto add = [&](const ColumnFamily& column_family,
                       const std::string& property, const std::string& name) {
    uint64_t value = 0;
    double& figure = figures[name];  // 0 when RocksDB does not say
    if (db_->GetIntProperty(column_family.get(), property, &value)) {
      figure += static_cast<double>(value);
    }
  };
  const auto add_all = [&](const ColumnFamily& column_family,
                           const std::string& records) {
    add(column_family, Properties::kEstimateNumKeys, "estimated_" + records);
    add(column_family, Properties::kLiveSstFilesSize, records + "_sst_bytes");
    add(column_family, Properties::kCurSizeAllMemTables, "memtable_bytes");
    add(column_family, Properties::kTotalSstFilesSize, "sst_bytes");
    add(column_family, Properties::kEstimatePendingCompactionBytes,
        "pending_compaction_bytes");
  };
  add_all(log_, "events");
  add_all(heads_, "heads");
  figures["estimated_snapshots"] = 0;
  figures["snapshots_sst_bytes"] = 0;
  {
    absl::ReaderMutexLock lock(&states_mutex_);
    for (const auto& [fingerprint, states] : states_) {
      add_all(states, "snapshots");
    }
    figures["fingerprints"] = static_cast<double>(states_.size());
  }
  // Figures of the whole database: any column family has them.
  add(log_, Properties::kNumRunningCompactions, "running_compactions");
  add(log_, Properties::kNumRunningFlushes, "running_flushes");
  add(log_, Properties::kBackgroundErrors, "background_errors_total");
  add(log_, Properties::kIsWriteStopped, "writes_stopped");
  add(log_, Properties::kActualDelayedWriteRate,
      "delayed_write_rate_bytes_per_second");
  figures["block_cache_usage_bytes"] = static_cast<double>(cache_->GetUsage());
  figures["block_cache_capacity_bytes"] =
      static_cast<double>(cache_->GetCapacity());
  const auto ticker = [&](uint32_t id) {
    return static_cast<double>(statistics_->getTickerCount(id));
  };
  figures["block_cache_hits_total"] = ticker(rocksdb::BLOCK_CACHE_HIT);
  figures["block_cache_misses_total"] = ticker(rocksdb::BLOCK_CACHE_MISS);
  figures["wal_bytes_total"] = ticker(rocksdb::WAL_FILE_BYTES);
  figures["wal_syncs_total"] = ticker(rocksdb::WAL_FILE_SYNCED);
  figures["write_stall_seconds_total"] = ticker(rocksdb::STALL_MICROS) * 1e-6;
  return figures;
}

// -- Opening ------------------------------------------------------------------

absl::Status ValidateOptions(const RocksDbOptions& options) {
  if (options.path.empty()) {
    return absl::InvalidArgumentError("path of the store is empty");
  }
  if (options.memtable_bytes == 0) {
    return absl::InvalidArgumentError("memtable_bytes is 0");
  }
  if (options.background_threads < 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("background_threads is ", options.background_threads));
  }
  return absl::OkStatus();
}

// True if there is a database at the path, false if one can be created there.
absl::StatusOr<bool> DatabaseExists(const std::filesystem::path& path) {
  namespace fs = std::filesystem;
  std::error_code error;
  const fs::path parent = fs::absolute(path).lexically_normal().parent_path();
  if (!fs::exists(path, error) && !fs::is_directory(parent, error)) {
    return absl::NotFoundError(
        absl::StrCat("store ", path.string(), ": its parent folder ",
                     parent.string(), " does not exist; create it first"));
  }
  if (fs::exists(path, error) && !fs::is_directory(path, error)) {
    return absl::FailedPreconditionError(
        absl::StrCat("store ", path.string(), ": not a folder"));
  }
  if (fs::exists(path / "CURRENT", error)) return true;
  // Creating a database deletes table files it does not know.
  for (const auto& file : fs::directory_iterator(path, error)) {
    const std::string extension = file.path().extension();
    if (extension == ".sst" || extension == ".log") {
      return absl::DataLossError(absl::StrCat(
          "store ", path.string(), ": the file CURRENT is missing, but ",
          file.path().filename().string(),
          " is there; restore the folder from a backup or give an empty one"));
    }
  }
  return false;
}

absl::Status OpenError(const rocksdb::Status& status, const std::string& path) {
  const std::string doing = absl::StrCat("opening the store ", path);
  // RocksDB tells a held lock from other failures in its message only.
  if (status.IsIOError() && absl::StrContains(status.ToString(), "/LOCK") &&
      absl::StrContains(status.ToString(), "lock")) {
    return absl::FailedPreconditionError(absl::StrCat(
        "store ", path, " is open in another process, which holds ", path,
        "/LOCK: stop it, or give this one another path (", status.ToString(),
        ")"));
  }
  if (status.IsInvalidArgument()) {
    return absl::FailedPreconditionError(
        absl::StrCat(doing, ": not a qlarank store: ", status.ToString()));
  }
  absl::Status result = ToAbslStatus(status, doing);
  if (absl::IsDataLoss(result)) {
    return absl::DataLossError(absl::StrCat(
        result.message(),
        "; restore it from a backup, or, if only the newest WAL is damaged, "
        "open it once with drop_log_after_damage"));
  }
  return result;
}

class Opener {
 public:
  explicit Opener(const RocksDbOptions& options)
      : options_(options),
        db_options_(rocksdb_internal::MakeDbOptions(options)),
        cache_(rocksdb_internal::MakeBlockCache(options)) {}

  absl::StatusOr<std::unique_ptr<StateStore>> Open();

 private:
  rocksdb::ColumnFamilyOptions OptionsOf(absl::string_view name) const {
    if (name == kLogName) {
      return rocksdb_internal::MakeLogOptions(options_, cache_);
    }
    if (name == kHeadsName) {
      return rocksdb_internal::MakeHeadsOptions(options_, cache_);
    }
    return rocksdb_internal::MakeStatesOptions(options_, cache_);
  }

  absl::Status OpenAll(const std::vector<std::string>& names);
  absl::Status CheckFormat();
  absl::Status CheckEmpty();
  absl::Status Initialise();

  const RocksDbOptions& options_;
  const rocksdb::DBOptions db_options_;
  const std::shared_ptr<rocksdb::Cache> cache_;
  std::unique_ptr<rocksdb::DB> db_;
  std::map<std::string, ColumnFamily, std::less<>> column_families_;
};

absl::Status Opener::OpenAll(const std::vector<std::string>& names) {
  std::vector<rocksdb::ColumnFamilyDescriptor> descriptors;
  for (const std::string& name : names) {
    descriptors.emplace_back(name, OptionsOf(name));
  }
  std::vector<rocksdb::ColumnFamilyHandle*> handles;
  rocksdb::DB* db = nullptr;
  const rocksdb::Status opened =
      rocksdb::DB::Open(db_options_, options_.path, descriptors, &handles, &db);
  if (!opened.ok()) return OpenError(opened, options_.path);
  db_.reset(db);
  for (size_t i = 0; i < names.size(); ++i) {
    column_families_[names[i]].reset(handles[i]);
  }
  return absl::OkStatus();
}

absl::Status Opener::CheckFormat() {
  std::string format;
  const rocksdb::Status read =
      db_->Get(rocksdb::ReadOptions(), ToSlice(kFormatKey), &format);
  if (read.IsNotFound()) {
    // Never finished being created, or somebody else's.
    absl::Status status = CheckEmpty();
    return status.ok() ? Initialise() : status;
  }
  if (!read.ok()) return OpenError(read, options_.path);
  if (!absl::StartsWith(format, kFormatStem)) {
    return absl::DataLossError(absl::StrCat("store ", options_.path,
                                            ": its format record is damaged"));
  }
  if (format != kFormat) {
    return absl::FailedPreconditionError(absl::StrCat(
        "store ", options_.path, " says \"", format, "\", this binary knows \"",
        kFormat, "\": use the binary that wrote it"));
  }
  for (absl::string_view name : {kLogName, kHeadsName}) {
    if (!column_families_.contains(name)) {
      return absl::DataLossError(absl::StrCat(
          "store ", options_.path, ": column family ", name, " is missing"));
    }
  }
  for (const auto& [name, unused] : column_families_) {
    if (name != rocksdb::kDefaultColumnFamilyName && name != kLogName &&
        name != kHeadsName && !absl::StartsWith(name, kStatesPrefix)) {
      return absl::FailedPreconditionError(absl::StrCat(
          "store ", options_.path, ": unknown column family ", name));
    }
  }
  return absl::OkStatus();
}

absl::Status Opener::CheckEmpty() {
  for (const auto& [name, column_family] : column_families_) {
    rocksdb::ReadOptions read_options;
    read_options.total_order_seek = true;
    const std::unique_ptr<rocksdb::Iterator> it(
        db_->NewIterator(read_options, column_family.get()));
    it->SeekToFirst();
    if (!it->status().ok()) return OpenError(it->status(), options_.path);
    if (it->Valid()) {
      return absl::FailedPreconditionError(absl::StrCat(
          "store ", options_.path,
          ": a RocksDB database, but not a qlarank store (no format record)"));
    }
  }
  return absl::OkStatus();
}

absl::Status Opener::Initialise() {
  for (absl::string_view name : {kLogName, kHeadsName}) {
    if (column_families_.contains(name)) continue;
    rocksdb::ColumnFamilyHandle* handle = nullptr;
    const rocksdb::Status created =
        db_->CreateColumnFamily(OptionsOf(name), std::string(name), &handle);
    if (!created.ok()) return OpenError(created, options_.path);
    column_families_[std::string(name)].reset(handle);
  }
  // Last: a store with this record is complete.
  rocksdb::WriteOptions synced;
  synced.sync = true;
  const rocksdb::Status written =
      db_->Put(synced, ToSlice(kFormatKey), ToSlice(kFormat));
  return written.ok() ? absl::OkStatus() : OpenError(written, options_.path);
}

absl::StatusOr<std::unique_ptr<StateStore>> Opener::Open() {
  absl::Status status = ValidateOptions(options_);
  if (!status.ok()) return status;
  absl::StatusOr<bool> exists = DatabaseExists(options_.path);
  if (!exists.ok()) return exists.status();
  std::vector<std::string> names = {rocksdb::kDefaultColumnFamilyName};
  if (*exists) {
    const rocksdb::Status listed =
        rocksdb::DB::ListColumnFamilies(db_options_, options_.path, &names);
    if (!listed.ok()) return OpenError(listed, options_.path);
  }
  status = OpenAll(names);
  if (status.ok()) status = CheckFormat();
  if (!status.ok()) return status;

  RocksDbStateStore::Parts parts;
  parts.options = options_;
  parts.cache = cache_;
  parts.statistics = db_options_.statistics;
  parts.db = std::move(db_);
  parts.log = std::move(column_families_.find(kLogName)->second);
  parts.heads = std::move(column_families_.find(kHeadsName)->second);
  for (auto& [name, column_family] : column_families_) {
    if (absl::StartsWith(name, kStatesPrefix)) {
      parts.states.emplace(absl::StripPrefix(name, kStatesPrefix),
                           std::move(column_family));
    }
  }
  return std::make_unique<RocksDbStateStore>(std::move(parts));
}

}  // namespace

absl::StatusOr<std::unique_ptr<StateStore>> OpenRocksDbStateStore(
    const RocksDbOptions& options) {
  return Opener(options).Open();
}

}  // namespace qlarank
