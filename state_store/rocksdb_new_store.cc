#include "state_store/rocksdb_new_store.h"

#include <memory>
#include <utility>
#include <vector>

#include "state_store/rocksdb_flush_reminder.h"
#include "state_store/rocksdb_state_store.h"

namespace qlarank::rocksdb_internal {
namespace {

constexpr size_t kBatchBytes = size_t{4} << 20;
constexpr absl::string_view kDoing = "writing the new store";

}  // namespace

absl::StatusOr<NewStore> NewStore::Like(const OpenedStore& other,
                                        const std::string& path,
                                        uint32_t partitions) {
  RocksDbOptions options;
  options.path = path;
  options.partitions = partitions;
  {
    auto store = OpenRocksDbStateStore(options);
    if (!store.ok()) return store.status();
    for (const auto& [fingerprint, unused] : other.states) {
      absl::Status status = (*store)->OpenFingerprint(fingerprint);
      if (!status.ok()) return status;
    }
  }
  absl::StatusOr<OpenedStore> store = OpenStore(options);
  if (!store.ok()) return store.status();
  if (other.catalogue != nullptr) {
    auto catalogue = MakeCatalogue(*store->db, store->options, store->cache);
    if (!catalogue.ok()) return catalogue.status();
    store->catalogue = *std::move(catalogue);
  }
  return NewStore(*std::move(store));
}

ColumnFamily NewStore::records() const {
  return ColumnFamily(store_.db->DefaultColumnFamily(), [](auto*) {});
}

absl::Status NewStore::Put(const ColumnFamily& column_family,
                           absl::string_view key, absl::string_view value) {
  const rocksdb::Status put =
      batch_.Put(column_family.get(), ToSlice(key), ToSlice(value));
  if (!put.ok()) return ToAbslStatus(put, kDoing);
  return batch_.GetDataSize() < kBatchBytes ? absl::OkStatus() : WriteBatch();
}

absl::Status NewStore::WriteBatch() {
  rocksdb::WriteOptions unlogged;
  unlogged.disableWAL = true;
  absl::Status status =
      ToAbslStatus(store_.db->Write(unlogged, &batch_), kDoing);
  batch_.Clear();
  return status;
}

absl::Status NewStore::Finish() {
  if (absl::Status status = WriteBatch(); !status.ok()) return status;
  std::vector<ColumnFamily> all = {records(), store_.log, store_.heads};
  for (const auto& [fingerprint, states] : store_.states) {
    all.push_back(states);
  }
  if (store_.catalogue != nullptr) all.push_back(store_.catalogue);
  const FlushReminder reminder(*store_.db, all);
  for (const ColumnFamily& column_family : all) {
    const rocksdb::Status flushed =
        store_.db->Flush(rocksdb::FlushOptions(), column_family.get());
    if (!flushed.ok()) return ToAbslStatus(flushed, kDoing);
  }
  return absl::OkStatus();
}

}  // namespace qlarank::rocksdb_internal
