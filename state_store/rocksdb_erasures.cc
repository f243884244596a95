// The records of erasures, and making what was erased leave the files.

#include <algorithm>
#include <limits>
#include <memory>
#include <optional>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "rocksdb/db.h"
#include "rocksdb/write_batch.h"
#include "state_store/failpoint.h"
#include "state_store/keys.h"
#include "state_store/record_names.h"
#include "state_store/rocksdb_flush_reminder.h"
#include "state_store/rocksdb_state_store_impl.h"
#include "state_store/user_digest.h"

namespace qlarank::rocksdb_internal {
namespace {

// What is rewritten at a time: about a table file of each level.
constexpr uint64_t kStepBytes = uint64_t{64} << 20;

// The end of all keys that begin with an 8-byte prefix: those of one user, and of
// one in 2^64 others.
std::string AfterPrefix(absl::string_view prefix) {
  return absl::StrCat(prefix, std::string(1 << 10, '\xff'));
}

}  // namespace

absl::Status RocksDbStateStore::ForEachErasure(
    absl::FunctionRef<bool(absl::string_view key, const StoredErasure& erasure)>
        visit) const {
  const std::unique_ptr<rocksdb::Iterator> it(
      db_->NewIterator(rocksdb::ReadOptions()));
  for (it->SeekForPrev(ErasureKey(std::numeric_limits<uint64_t>::max()));
       it->Valid(); it->Prev()) {
    const absl::string_view key = ToView(it->key());
    const std::optional<uint64_t> number = NumberOfErasureKey(key);
    if (!number.has_value()) break;
    const absl::StatusOr<StoredErasure> erasure =
        DecodeErasure(key, ToView(it->value()));
    if (!erasure.ok()) {
      return Prefixed(absl::StrCat("record of erasure ", *number),
                      erasure.status());
    }
    if (!visit(key, *erasure)) break;
  }
  return ToAbslStatus(it->status(), "reading records of erasures");
}

std::string RocksDbStateStore::DigestOfUser(absl::string_view user_id) const {
  return absl::BytesToHexString(UserDigest(digest_key_, user_id));
}

absl::StatusOr<std::vector<Erasure>> RocksDbStateStore::ListErasures(
    absl::string_view user_id, size_t limit) const {
  const std::string wanted =
      user_id.empty() ? "" : UserDigest(digest_key_, user_id);
  std::vector<Erasure> found;
  const absl::Status status = ForEachErasure(
      [&](absl::string_view /*key*/, const StoredErasure& erasure) {
        if (found.size() >= limit) return false;
        if (wanted.empty() || erasure.user_digest == wanted) {
          found.push_back({absl::BytesToHexString(erasure.user_digest),
                           erasure.note, erasure.events,
                           /*purged=*/erasure.key_prefix.empty()});
        }
        return true;
      });
  if (!status.ok()) return status;
  return found;
}

absl::StatusOr<std::vector<RocksDbStateStore::PendingErasure>>
RocksDbStateStore::ListPending() const {
  std::vector<PendingErasure> pending;
  const absl::Status status = ForEachErasure(
      [&](absl::string_view key, const StoredErasure& erasure) {
        if (!erasure.key_prefix.empty()) {
          pending.push_back({std::string(key), erasure});
        }
        return true;
      });
  if (!status.ok()) return status;
  std::sort(pending.begin(), pending.end(), [](const auto& a, const auto& b) {
    return a.erasure.key_prefix < b.erasure.key_prefix;
  });
  return pending;
}

uint64_t RocksDbStateStore::BytesOfRange(absl::string_view first,
                                         absl::string_view last) const {
  const std::string end = AfterPrefix(last);
  const rocksdb::Range range(ToSlice(first), end);
  uint64_t bytes = 0;
  for (const ColumnFamily& column_family : AllColumnFamilies()) {
    uint64_t of_family = 0;
    // Without a figure the range is just not made longer for it.
    db_->GetApproximateSizes(column_family.get(), &range, 1, &of_family)
        .PermitUncheckedError();
    bytes += of_family;
  }
  return bytes;
}

absl::Status RocksDbStateStore::CompactRange(absl::string_view first,
                                             absl::string_view last) {
  rocksdb::CompactRangeOptions options;
  options.exclusive_manual_compaction = false;
  options.bottommost_level_compaction =
      rocksdb::BottommostLevelCompaction::kForceOptimized;
  const std::string after = AfterPrefix(last);
  const rocksdb::Slice begin = ToSlice(first);
  const rocksdb::Slice end = after;
  const std::vector<ColumnFamily> all = AllColumnFamilies();
  const FlushReminder reminder(*db_, all);  // it flushes what is in the range
  for (const ColumnFamily& column_family : all) {
    const rocksdb::Status compacted =
        db_->CompactRange(options, column_family.get(), &begin, &end);
    if (compacted.ok() || compacted.IsColumnFamilyDropped()) continue;
    return ToAbslStatus(compacted, "purging erased users");
  }
  return absl::OkStatus();
}

absl::Status RocksDbStateStore::RecordPurged(
    absl::Span<PendingErasure> purged) {
  erasures_cleared_ = false;
  rocksdb::WriteBatch batch;
  for (auto& [key, erasure] : purged) {
    erasure.key_prefix.clear();
    batch.Put(db_->DefaultColumnFamily(), key, EncodeErasure(key, erasure));
  }
  absl::Status status = Write(synced_, batch, "recording a purge");
  if (status.ok()) erasures_pending_ -= static_cast<int64_t>(purged.size());
  return status;
}

absl::StatusOr<uint64_t> RocksDbStateStore::PurgeErased(PurgePause pause) {
  absl::StatusOr<std::vector<PendingErasure>> listed = ListPending();
  if (!listed.ok()) return listed.status();
  const absl::Span<PendingErasure> pending = absl::MakeSpan(*listed);
  erasures_pending_ = static_cast<int64_t>(pending.size());
  if (pending.empty() && erasures_cleared_) return 0;
  uint64_t purged = 0;
  absl::Status status;
  if (!pending.empty()) {
    QLARANK_FAILPOINT("purge.begin");
    // What is still in memtables and in the WAL is in table files after this, and
    // the WAL's files go.
    status = Flush();
    if (!status.ok()) return status;
  }
  while (purged < pending.size()) {
    // Neighbours are in the same files: these are rewritten for all of them.
    const absl::string_view first = pending[purged].erasure.key_prefix;
    size_t end = purged + 1;
    uint64_t bytes = BytesOfRange(first, first);
    while (end < pending.size()) {
      const uint64_t longer =
          BytesOfRange(first, pending[end].erasure.key_prefix);
      if (longer > kStepBytes) break;
      bytes = longer;
      ++end;
    }
    status = CompactRange(first, pending[end - 1].erasure.key_prefix);
    if (!status.ok()) return status;
    QLARANK_FAILPOINT("purge.compacted");
    status = RecordPurged(pending.subspan(purged, end - purged));
    if (!status.ok()) return status;
    QLARANK_FAILPOINT("purge.recorded");
    purged = end;
    // Whole files, however little of them is of the range.
    if (purged < pending.size() && !pause(std::max(bytes, kStepBytes))) break;
  }
  // The last purge may have died, or failed, before it had cleared them.
  status = ClearErasures();
  if (!status.ok()) return status;
  return purged;
}

absl::Status RocksDbStateStore::ClearErasures() {
  rocksdb::ColumnFamilyHandle* const records = db_->DefaultColumnFamily();
  absl::Status status = ToAbslStatus(
      db_->Flush(rocksdb::FlushOptions(), records), "recording a purge");
  if (!status.ok()) return status;
  rocksdb::CompactRangeOptions options;
  options.bottommost_level_compaction =
      rocksdb::BottommostLevelCompaction::kForceOptimized;
  status = ToAbslStatus(db_->CompactRange(options, records, nullptr, nullptr),
                        "recording a purge");
  if (status.ok()) erasures_cleared_ = true;
  return status;
}

}  // namespace qlarank::rocksdb_internal
