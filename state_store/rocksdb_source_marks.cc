// Marks of sources: a small record each, in the default column family.

#include <memory>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "rocksdb/db.h"
#include "state_store/keys.h"
#include "state_store/record_names.h"
#include "state_store/records.h"
#include "state_store/rocksdb_state_store_impl.h"

namespace qlarank::rocksdb_internal {

absl::Status RocksDbStateStore::PutSourceMark(absl::string_view source,
                                              const SourceMark& mark) {
  const std::string key = SourceMarkKey(source);
  rocksdb::WriteBatch batch;
  batch.Put(key, EncodeSourceMark(key, mark));
  return Write(synced_, batch,
               absl::StrCat("writing the ", SourceMarkName(source)));
}

absl::StatusOr<std::optional<SourceMark>> RocksDbStateStore::GetSourceMark(
    absl::string_view source) const {
  const std::string key = SourceMarkKey(source);
  rocksdb::PinnableSlice value;
  const rocksdb::Status read = db_->Get(
      rocksdb::ReadOptions(), db_->DefaultColumnFamily(), key, &value);
  if (read.IsNotFound()) return std::optional<SourceMark>();
  if (!read.ok()) return ToAbslStatus(read, SourceMarkName(source));
  absl::StatusOr<SourceMark> mark = DecodeSourceMark(key, ToView(value));
  if (!mark.ok()) return Prefixed(SourceMarkName(source), mark.status());
  return std::optional<SourceMark>(*std::move(mark));
}

absl::Status RocksDbStateStore::ForEachSourceMark(
    absl::FunctionRef<void(absl::string_view source, const SourceMark& mark)>
        visit) const {
  const std::unique_ptr<rocksdb::Iterator> it(
      db_->NewIterator(rocksdb::ReadOptions()));
  absl::Status first_damage;
  uint64_t damaged = 0;
  for (it->Seek(SourceMarkKey("")); it->Valid(); it->Next()) {
    const absl::string_view key = ToView(it->key());
    const std::optional<absl::string_view> source = SourceOfMarkKey(key);
    if (!source.has_value()) break;
    const absl::StatusOr<SourceMark> mark =
        DecodeSourceMark(key, ToView(it->value()));
    if (mark.ok()) {
      visit(*source, *mark);
    } else if (++damaged == 1) {
      first_damage = Prefixed(SourceMarkName(*source), mark.status());
    }
  }
  if (!it->status().ok()) {
    return ToAbslStatus(it->status(), "reading marks of sources");
  }
  if (damaged == 0) return absl::OkStatus();
  return Prefixed(absl::StrCat(damaged, " damaged, the first"), first_damage);
}

}  // namespace qlarank::rocksdb_internal
