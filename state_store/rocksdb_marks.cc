// Marks, and those of sources: a small record each, in the default column
// family.

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
namespace {

// Decodes the record at `key`; nullopt when there is none.
template <typename T>
absl::StatusOr<std::optional<T>> GetRecord(
    rocksdb::DB& db, const std::string& key, const std::string& name,
    absl::StatusOr<T> (*decode)(absl::string_view, absl::string_view)) {
  rocksdb::PinnableSlice value;
  const rocksdb::Status read =
      db.Get(rocksdb::ReadOptions(), db.DefaultColumnFamily(), key, &value);
  if (read.IsNotFound()) return std::optional<T>();
  if (!read.ok()) return ToAbslStatus(read, name);
  absl::StatusOr<T> record = decode(key, ToView(value));
  if (!record.ok()) return Prefixed(name, record.status());
  return std::optional<T>(*std::move(record));
}

// Decodes every record from `first_key` on, as long as `name_of_key` knows its
// key. DATA_LOSS at the end for those that are damaged.
template <typename T>
absl::Status ForEachRecord(
    rocksdb::DB& db, const std::string& first_key,
    std::optional<absl::string_view> (*name_of_key)(absl::string_view),
    absl::StatusOr<T> (*decode)(absl::string_view, absl::string_view),
    std::string (*describe)(absl::string_view),
    absl::FunctionRef<void(absl::string_view name, T record)> visit) {
  const std::unique_ptr<rocksdb::Iterator> it(
      db.NewIterator(rocksdb::ReadOptions()));
  absl::Status first_damage;
  uint64_t damaged = 0;
  for (it->Seek(first_key); it->Valid(); it->Next()) {
    const absl::string_view key = ToView(it->key());
    const std::optional<absl::string_view> name = name_of_key(key);
    if (!name.has_value()) break;
    absl::StatusOr<T> record = decode(key, ToView(it->value()));
    if (record.ok()) {
      visit(*name, *std::move(record));
    } else if (++damaged == 1) {
      first_damage = Prefixed(describe(*name), record.status());
    }
  }
  if (!it->status().ok()) return ToAbslStatus(it->status(), "reading marks");
  if (damaged == 0) return absl::OkStatus();
  return Prefixed(absl::StrCat(damaged, " damaged, the first"), first_damage);
}

}  // namespace

absl::StatusOr<std::optional<std::string>> RocksDbStateStore::GetMark(
    absl::string_view name) const {
  return GetRecord(*db_, MarkKey(name), MarkName(name), &DecodeMark);
}

absl::StatusOr<std::vector<Mark>> RocksDbStateStore::ListMarks() const {
  std::vector<Mark> marks;
  const absl::Status status = ForEachRecord<std::string>(
      *db_, MarkKey(""), &NameOfMarkKey, &DecodeMark, &MarkName,
      [&](absl::string_view name, std::string value) {
        marks.push_back({std::string(name), std::move(value)});
      });
  if (!status.ok()) return status;
  return marks;
}

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
  return GetRecord(*db_, SourceMarkKey(source), SourceMarkName(source),
                   &DecodeSourceMark);
}

absl::Status RocksDbStateStore::ForEachSourceMark(
    absl::FunctionRef<void(absl::string_view source, const SourceMark& mark)>
        visit) const {
  return ForEachRecord<SourceMark>(
      *db_, SourceMarkKey(""), &SourceOfMarkKey, &DecodeSourceMark,
      &SourceMarkName,
      [&](absl::string_view source, const SourceMark& mark) {
        visit(source, mark);
      });
}

}  // namespace qlarank::rocksdb_internal
