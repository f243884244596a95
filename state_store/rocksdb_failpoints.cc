#include "state_store/rocksdb_failpoints.h"

#include "state_store/failpoint.h"

#ifdef QLARANK_FAILPOINTS

#include <memory>

#include "absl/strings/match.h"
#include "rocksdb/listener.h"

namespace qlarank::rocksdb_internal {
namespace {

// What names a kind of file: "000012.log", "000013.sst", "MANIFEST-000004".
bool IsWal(const std::string& path) { return absl::EndsWith(path, ".log"); }
bool IsTable(const std::string& path) { return absl::EndsWith(path, ".sst"); }
bool IsManifest(const std::string& path) {
  return absl::StrContains(path, "/MANIFEST-");
}

class Failpoints final : public rocksdb::EventListener {
 public:
  bool ShouldBeNotifiedOnFileIO() override { return true; }

  void OnFileWriteFinish(const rocksdb::FileOperationInfo& info) override {
    if (IsWal(info.path)) QLARANK_FAILPOINT("wal.written");
    if (IsTable(info.path)) QLARANK_FAILPOINT("table.written");
    if (IsManifest(info.path)) QLARANK_FAILPOINT("manifest.written");
  }
  void OnFileSyncFinish(const rocksdb::FileOperationInfo& info) override {
    if (IsWal(info.path)) QLARANK_FAILPOINT("wal.synced");
    if (IsTable(info.path)) QLARANK_FAILPOINT("table.synced");
    if (IsManifest(info.path)) QLARANK_FAILPOINT("manifest.synced");
  }
  void OnMemTableSealed(const rocksdb::MemTableInfo&) override {
    QLARANK_FAILPOINT("memtable.sealed");
  }
  void OnFlushBegin(rocksdb::DB*, const rocksdb::FlushJobInfo&) override {
    QLARANK_FAILPOINT("flush.begin");
  }
  void OnFlushCompleted(rocksdb::DB*, const rocksdb::FlushJobInfo&) override {
    QLARANK_FAILPOINT("flush.end");
  }
  void OnCompactionBegin(rocksdb::DB*,
                         const rocksdb::CompactionJobInfo&) override {
    QLARANK_FAILPOINT("compaction.begin");
  }
  void OnCompactionCompleted(rocksdb::DB*,
                             const rocksdb::CompactionJobInfo&) override {
    QLARANK_FAILPOINT("compaction.end");
  }
  void OnTableFileDeleted(const rocksdb::TableFileDeletionInfo&) override {
    QLARANK_FAILPOINT("table.deleted");
  }
};

}  // namespace

void AddFailpoints(rocksdb::DBOptions& options) {
  options.listeners.push_back(std::make_shared<Failpoints>());
}

}  // namespace qlarank::rocksdb_internal

#else

namespace qlarank::rocksdb_internal {

void AddFailpoints(rocksdb::DBOptions&) {}

}  // namespace qlarank::rocksdb_internal

#endif  // QLARANK_FAILPOINTS
