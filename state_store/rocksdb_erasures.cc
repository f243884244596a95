// The records of erasures, and making what was erased leave the files.

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
#include "state_store/rocksdb_state_store_impl.h"
#include "state_store/user_digest.h"

namespace qlarank::rocksdb_internal {
namespace {

// More erasures than this are purged by rewriting everything once, rather than
// the files of each.
constexpr size_t kMaxPrefixes = 64;

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

absl::Status RocksDbStateStore::CompactPrefixes(
    const std::vector<std::string>& prefixes) {
  rocksdb::CompactRangeOptions options;
  options.exclusive_manual_compaction = false;
  options.bottommost_level_compaction =
      rocksdb::BottommostLevelCompaction::kForceOptimized;
  const auto compact = [&](const ColumnFamily& column_family,
                           const rocksdb::Slice* begin,
                           const rocksdb::Slice* end) {
    const rocksdb::Status compacted =
        db_->CompactRange(options, column_family.get(), begin, end);
    if (compacted.IsColumnFamilyDropped()) return absl::OkStatus();
    return ToAbslStatus(compacted, "purging erased users");
  };
  for (const ColumnFamily& column_family : AllColumnFamilies()) {
    if (prefixes.size() > kMaxPrefixes) {
      absl::Status status = compact(column_family, nullptr, nullptr);
      if (!status.ok()) return status;
      continue;
    }
    for (const std::string& prefix : prefixes) {
      // All keys that begin with it: of this user, and of one in 2^64 others.
      const std::string after = prefix + std::string(1 << 10, '\xff');
      const rocksdb::Slice begin = prefix;
      const rocksdb::Slice end = after;
      absl::Status status = compact(column_family, &begin, &end);
      if (!status.ok()) return status;
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<uint64_t> RocksDbStateStore::PurgeErased() {
  std::vector<std::pair<std::string, StoredErasure>> pending;
  std::vector<std::string> prefixes;
  absl::Status status = ForEachErasure(
      [&](absl::string_view key, const StoredErasure& erasure) {
        if (erasure.key_prefix.empty()) return true;
        pending.emplace_back(key, erasure);
        prefixes.push_back(erasure.key_prefix);
        return true;
      });
  if (!status.ok()) return status;
  if (pending.empty()) {
    // The last purge may have died, or failed, before it had cleared them.
    if (!erasures_cleared_) status = ClearErasures();
    if (!status.ok()) return status;
    return 0;
  }
  QLARANK_FAILPOINT("purge.begin");
  // What is still in memtables and in the WAL is in table files after this, and
  // the WAL's files go.
  status = Flush();
  if (status.ok()) status = CompactPrefixes(prefixes);
  if (!status.ok()) return status;
  QLARANK_FAILPOINT("purge.compacted");
  erasures_cleared_ = false;
  rocksdb::WriteBatch batch;
  for (auto& [key, erasure] : pending) {
    erasure.key_prefix.clear();
    batch.Put(db_->DefaultColumnFamily(), key, EncodeErasure(key, erasure));
  }
  status = ToAbslStatus(db_->Write(synced_, &batch), "recording a purge");
  if (!status.ok()) return status;
  QLARANK_FAILPOINT("purge.recorded");
  status = ClearErasures();
  if (!status.ok()) return status;
  return pending.size();
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
