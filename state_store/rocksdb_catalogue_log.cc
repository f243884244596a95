// The catalogue's log: a column family of its own, made with the first entry, so
// that a binary that does not know of it refuses a store that has any.

#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "rocksdb/db.h"
#include "rocksdb/write_batch.h"
#include "state_store/failpoint.h"
#include "state_store/keys.h"
#include "state_store/record_names.h"
#include "state_store/records.h"
#include "state_store/rocksdb_state_store_impl.h"
#include "state_store/validation.h"

namespace qlarank::rocksdb_internal {

ColumnFamily RocksDbStateStore::Catalogue() const {
  absl::ReaderMutexLock lock(&states_mutex_);
  return catalogue_;
}

absl::StatusOr<ColumnFamily> RocksDbStateStore::CatalogueToExtend() {
  absl::MutexLock lock(&states_mutex_);
  if (catalogue_ != nullptr) return catalogue_;
  absl::StatusOr<ColumnFamily> made = MakeCatalogue(*db_, options_, cache_);
  if (made.ok()) catalogue_ = *made;
  QLARANK_FAILPOINT("catalogue.family_made");
  return made;
}

absl::Status RocksDbStateStore::AppendEntries(
    absl::Span<const CatalogueEntry> entries) {
  const absl::StatusOr<uint64_t> newest = NewestCatalogueVersion();
  if (!newest.ok()) return newest.status();
  absl::Status status = ValidateEntries(*newest, entries);
  if (!status.ok() || entries.empty()) return status;
  const absl::StatusOr<ColumnFamily> catalogue = CatalogueToExtend();
  if (!catalogue.ok()) return catalogue.status();
  rocksdb::WriteBatch batch;
  for (const CatalogueEntry& entry : entries) {
    const std::string key = CatalogueKey(entry.version);
    batch.Put(catalogue->get(), key, EncodeCatalogueEntry(key, entry));
  }
  return Write(synced_, batch, "appending to the catalogue");
}

absl::StatusOr<std::vector<CatalogueEntry>> RocksDbStateStore::ReadEntries(
    uint64_t from_version, size_t limit) const {
  std::vector<CatalogueEntry> entries;
  const ColumnFamily catalogue = Catalogue();
  if (catalogue == nullptr || limit == 0) return entries;
  rocksdb::ReadOptions options;
  options.fill_cache = false;  // each is read once
  const std::unique_ptr<rocksdb::Iterator> it(
      db_->NewIterator(options, catalogue.get()));
  uint64_t expected = from_version;
  for (it->Seek(CatalogueKey(from_version));
       it->Valid() && entries.size() < limit; it->Next(), ++expected) {
    const absl::string_view key = ToView(it->key());
    if (VersionOfCatalogueKey(key) != expected) {
      return absl::DataLossError(
          absl::StrCat(CatalogueEntryName(expected), ": missing"));
    }
    auto entry = DecodeCatalogueEntry(key, ToView(it->value()));
    if (!entry.ok()) {
      return Prefixed(CatalogueEntryName(expected), entry.status());
    }
    entries.push_back(*std::move(entry));
    entries.back().version = expected;
  }
  if (!it->status().ok()) {
    return ToAbslStatus(it->status(), CatalogueEntryName(expected));
  }
  return entries;
}

absl::StatusOr<uint64_t> RocksDbStateStore::NewestCatalogueVersion() const {
  const ColumnFamily catalogue = Catalogue();
  if (catalogue == nullptr) return 0;
  const std::unique_ptr<rocksdb::Iterator> it(
      db_->NewIterator(rocksdb::ReadOptions(), catalogue.get()));
  it->SeekToLast();
  if (!it->status().ok()) {
    return ToAbslStatus(it->status(), "reading the catalogue");
  }
  if (!it->Valid()) return 0;
  const auto version = VersionOfCatalogueKey(ToView(it->key()));
  if (version.has_value()) return *version;
  return absl::DataLossError("the key of a catalogue entry is damaged");
}

}  // namespace qlarank::rocksdb_internal
