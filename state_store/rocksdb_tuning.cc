#include "state_store/rocksdb_tuning.h"

#include <algorithm>

#include "rocksdb/convenience.h"
#include "rocksdb/filter_policy.h"
#include "rocksdb/slice_transform.h"
#include "rocksdb/statistics.h"
#include "rocksdb/table.h"
#include "rocksdb/write_buffer_manager.h"
#include "state_store/keys.h"
#include "state_store/rocksdb_key_order.h"
#include "state_store/rocksdb_logger.h"

namespace qlarank::rocksdb_internal {
namespace {

constexpr size_t kTableBlockBytes = 4096;
constexpr double kBloomBitsPerKey = 10;  // 1 % false positives

// Erased records leave the disk when a compaction meets them. This bounds how
// long that takes for files which nothing else would compact.
constexpr uint64_t kPeriodicCompactionSeconds = 30 * 24 * 3600;

// The first of `wanted` that this build of RocksDB has.
rocksdb::CompressionType FirstSupported(
    std::initializer_list<rocksdb::CompressionType> wanted) {
  const auto supported = rocksdb::GetSupportedCompressions();
  for (rocksdb::CompressionType type : wanted) {
    if (std::count(supported.begin(), supported.end(), type) > 0) return type;
  }
  return rocksdb::kNoCompression;
}

rocksdb::BlockBasedTableOptions MakeTableOptions(
    const std::shared_ptr<rocksdb::Cache>& cache) {
  rocksdb::BlockBasedTableOptions table;
  table.block_cache = cache;
  table.block_size = kTableBlockBytes;
  table.format_version = 5;
  table.checksum = rocksdb::kXXH3;
  table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(kBloomBitsPerKey));
  // A file's whole index is some MB once it is decompressed, more than a shard
  // of the cache has room for: nearly every read would decompress one.
  table.index_type = rocksdb::BlockBasedTableOptions::kTwoLevelIndexSearch;
  // Indexes and filters are charged to the cache too, so that its size is the
  // bound on what reading takes.
  table.cache_index_and_filter_blocks = true;
  table.cache_index_and_filter_blocks_with_high_priority = true;
  table.pin_l0_filter_and_index_blocks_in_cache = true;
  return table;
}

rocksdb::ColumnFamilyOptions MakeCommonOptions(const RocksDbOptions& options) {
  rocksdb::ColumnFamilyOptions cf;
  cf.comparator = KeyOrder();
  // Memtables of all column families share memtable_bytes; a quarter each lets
  // one be filled while another is written out.
  cf.write_buffer_size = std::max<size_t>(options.memtable_bytes / 4, 64 << 10);
  cf.level_compaction_dynamic_level_bytes = true;
  cf.periodic_compaction_seconds = kPeriodicCompactionSeconds;
  cf.force_consistency_checks = true;
  return cf;
}

void CompressSmallRecords(rocksdb::ColumnFamilyOptions& cf) {
  cf.compression =
      FirstSupported({rocksdb::kLZ4Compression, rocksdb::kSnappyCompression});
  cf.bottommost_compression = FirstSupported(
      {rocksdb::kZSTD, rocksdb::kLZ4Compression, rocksdb::kSnappyCompression});
}

// Small records are many: what putting one into a memtable costs is missed
// caches, fewer of them the smaller it is. Several are flushed into one file,
// because each compaction of files rewrites the level below: keys are spread by
// a hash, so every file overlaps all of it.
void UseSmallMemtables(const RocksDbOptions& options,
                       rocksdb::ColumnFamilyOptions& cf) {
  constexpr int kMemtablesPerFile = 8;
  cf.write_buffer_size = std::max<size_t>(
      options.memtable_bytes / (4 * kMemtablesPerFile), 64 << 10);
  cf.min_write_buffer_number_to_merge = kMemtablesPerFile;
  cf.max_write_buffer_number = 2 * kMemtablesPerFile;
}

}  // namespace

rocksdb::DBOptions MakeDbOptions(const RocksDbOptions& options,
                                 const std::shared_ptr<rocksdb::Cache>& cache) {
  rocksdb::DBOptions db;
  db.create_if_missing = true;
  db.paranoid_checks = true;
  db.max_background_jobs = options.background_threads;
  db.max_open_files = options.max_open_files;
  // Charged to the block cache, whose size so bounds both; but one of size 0
  // has nothing to charge it to.
  db.write_buffer_manager = std::make_shared<rocksdb::WriteBufferManager>(
      options.memtable_bytes, options.block_cache_bytes > 0 ? cache : nullptr);
  // The next group is written to the WAL and synced while this one goes into
  // the memtables.
  db.enable_pipelined_write = true;
  // Snapshots are not in the WAL, so one that stays in a memtable keeps every
  // later WAL file alive. This flushes it: it bounds the disk, the time that
  // opening takes after a crash and the age of the snapshots a crash loses.
  db.max_total_wal_size = uint64_t{256} << 20;
  // RocksDB's default would open a WAL damaged in the middle and silently
  // forget the rest of it.
  db.wal_recovery_mode =
      options.drop_log_after_damage
          ? rocksdb::WALRecoveryMode::kPointInTimeRecovery
          : rocksdb::WALRecoveryMode::kTolerateCorruptedTailRecords;
  db.track_and_verify_wals_in_manifest = true;
  // It could wait for ever: rocksdb_flush_reminder.h.
  db.avoid_flush_during_shutdown = true;
  db.bytes_per_sync = 1 << 20;  // no long stall when a table file is finished
  db.statistics = rocksdb::CreateDBStatistics();
  db.statistics->set_stats_level(rocksdb::StatsLevel::kExceptHistogramOrTimers);
  db.info_log = MakeLogger(options.on_warning);
  return db;
}

std::shared_ptr<rocksdb::Cache> MakeBlockCache(const RocksDbOptions& options) {
  // HyperClockCache is experimental in RocksDB 7.8 and gains 0.3 us of 2.6 on a
  // read that only a miss of the user cache makes: not worth it yet.
  rocksdb::LRUCacheOptions cache;
  cache.capacity = options.block_cache_bytes;
  cache.high_pri_pool_ratio = 0.3;
  return rocksdb::NewLRUCache(cache);
}

rocksdb::ColumnFamilyOptions MakeLogOptions(
    const RocksDbOptions& options,
    const std::shared_ptr<rocksdb::Cache>& cache) {
  rocksdb::ColumnFamilyOptions cf = MakeCommonOptions(options);
  CompressSmallRecords(cf);
  UseSmallMemtables(options, cf);
  // All reads are scans within one user, so within one hash.
  cf.prefix_extractor.reset(rocksdb::NewFixedPrefixTransform(kUserHashBytes));
  cf.memtable_prefix_bloom_size_ratio = 0.02;
  rocksdb::BlockBasedTableOptions table = MakeTableOptions(cache);
  table.whole_key_filtering = false;
  cf.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  return cf;
}

rocksdb::ColumnFamilyOptions MakeHeadsOptions(
    const RocksDbOptions& options,
    const std::shared_ptr<rocksdb::Cache>& cache) {
  rocksdb::ColumnFamilyOptions cf = MakeCommonOptions(options);
  CompressSmallRecords(cf);
  UseSmallMemtables(options, cf);
  cf.memtable_prefix_bloom_size_ratio = 0.02;
  cf.memtable_whole_key_filtering = true;
  rocksdb::BlockBasedTableOptions table = MakeTableOptions(cache);
  table.data_block_index_type =
      rocksdb::BlockBasedTableOptions::kDataBlockBinaryAndHash;
  cf.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  return cf;
}

rocksdb::ColumnFamilyOptions MakeStatesOptions(
    const RocksDbOptions& options,
    const std::shared_ptr<rocksdb::Cache>& cache) {
  rocksdb::ColumnFamilyOptions cf = MakeCommonOptions(options);
  cf.compression = rocksdb::kNoCompression;  // floats: measured to gain nothing
  cf.table_factory.reset(
      rocksdb::NewBlockBasedTableFactory(MakeTableOptions(cache)));
  return cf;
}

rocksdb::ColumnFamilyOptions MakeCatalogueOptions(
    const RocksDbOptions& options,
    const std::shared_ptr<rocksdb::Cache>& cache) {
  rocksdb::ColumnFamilyOptions cf = MakeCommonOptions(options);
  CompressSmallRecords(cf);
  cf.table_factory.reset(
      rocksdb::NewBlockBasedTableFactory(MakeTableOptions(cache)));
  return cf;
}

}  // namespace qlarank::rocksdb_internal
