// Figures for operators, most of them RocksDB's own under our names.

#include <algorithm>

#include "absl/synchronization/mutex.h"
#include "rocksdb/cache.h"
#include "rocksdb/db.h"
#include "rocksdb/statistics.h"
#include "state_store/rocksdb_state_store_impl.h"

namespace qlarank::rocksdb_internal {

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
  // RocksDB adds up its list of table files, a few us for each column family:
  // the cost grows with files and fingerprints, not with users.
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
  figures["estimated_catalogue_entries"] = 0;
  figures["catalogue_sst_bytes"] = 0;
  if (const ColumnFamily catalogue = Catalogue(); catalogue != nullptr) {
    add_all(catalogue, "catalogue");
  }
  // Figures of the whole database: any column family has them.
  add(log_, Properties::kNumRunningCompactions, "running_compactions");
  add(log_, Properties::kNumRunningFlushes, "running_flushes");
  add(log_, Properties::kBackgroundErrors, "background_errors_total");
  figures["partitions"] = num_partitions_;
  figures["writes_refused"] = write_faults_->writes_refused() ? 1 : 0;
  figures["write_faults_total"] =
      static_cast<double>(write_faults_->times_refused());
  figures["snapshots_refused_total"] =
      static_cast<double>(snapshots_refused_.load());
  figures["erasures_pending"] =
      static_cast<double>(std::max<int64_t>(erasures_pending_, 0));
  figures["recovery_attempts_total"] =
      recovery_ == nullptr ? 0 : static_cast<double>(recovery_->attempts());
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
  figures["compaction_written_bytes_total"] =
      ticker(rocksdb::COMPACT_WRITE_BYTES);
  figures["wal_bytes_total"] = ticker(rocksdb::WAL_FILE_BYTES);
  figures["wal_syncs_total"] = ticker(rocksdb::WAL_FILE_SYNCED);
  figures["write_stall_seconds_total"] = ticker(rocksdb::STALL_MICROS) * 1e-6;
  return figures;
}

std::vector<StatesSize> RocksDbStateStore::MeasureStates() const {
  using Properties = rocksdb::DB::Properties;
  absl::ReaderMutexLock lock(&states_mutex_);
  std::vector<StatesSize> sizes;
  for (const auto& [fingerprint, states] : states_) {
    const auto figure = [&, &handle = states](const std::string& property) {
      uint64_t value = 0;  // where RocksDB does not say
      db_->GetIntProperty(handle.get(), property, &value);
      return value;
    };
    sizes.push_back({fingerprint, figure(Properties::kEstimateNumKeys),
                     figure(Properties::kLiveSstFilesSize) +
                         figure(Properties::kCurSizeAllMemTables)});
  }
  return sizes;
}

}  // namespace qlarank::rocksdb_internal
