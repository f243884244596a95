// Checkpoints and backups of an open store.

#include <algorithm>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "rocksdb/utilities/backup_engine.h"
#include "rocksdb/utilities/checkpoint.h"
#include "state_store/rocksdb_flush_reminder.h"
#include "state_store/rocksdb_state_store_impl.h"
#include "state_store/rocksdb_types.h"

namespace qlarank::rocksdb_internal {
namespace {

absl::Status CheckCheckpointPath(const std::filesystem::path& path) {
  namespace fs = std::filesystem;
  std::error_code error;
  if (fs::symlink_status(path, error).type() != fs::file_type::not_found) {
    return absl::AlreadyExistsError(
        absl::StrCat("checkpoint ", path.string(), ": something is there"));
  }
  const fs::path parent = fs::absolute(path).lexically_normal().parent_path();
  if (!fs::is_directory(parent, error)) {
    return absl::NotFoundError(
        absl::StrCat("checkpoint ", path.string(), ": its parent folder ",
                     parent.string(), " does not exist; create it first"));
  }
  return absl::OkStatus();
}

// Bytes of the files of backup `id` that none of the others has.
uint64_t NewBytes(rocksdb::BackupEngine& engine, rocksdb::BackupID id) {
  std::vector<rocksdb::BackupInfo> backups;
  engine.GetBackupInfo(&backups, /*include_file_details=*/true);
  absl::flat_hash_map<std::string, uint64_t> files;
  for (const rocksdb::BackupInfo& backup : backups) {
    if (backup.backup_id != id) continue;
    for (const rocksdb::BackupFileInfo& file : backup.file_details) {
      files[file.relative_filename] = file.size;
    }
  }
  for (const rocksdb::BackupInfo& backup : backups) {
    if (backup.backup_id == id) continue;
    for (const rocksdb::BackupFileInfo& file : backup.file_details) {
      files.erase(file.relative_filename);
    }
  }
  uint64_t bytes = 0;
  for (const auto& [name, size] : files) bytes += size;
  return bytes;
}

}  // namespace

absl::Status RocksDbStateStore::Checkpoint(const std::string& path) {
  absl::Status status = CheckCheckpointPath(path);
  if (!status.ok()) return status;
  const std::string doing = absl::StrCat("making the checkpoint ", path);
  rocksdb::Checkpoint* made = nullptr;
  status =
      ToAbslStatus(rocksdb::Checkpoint::Create(db_.get(), &made), doing);
  if (!status.ok()) return status;
  const std::unique_ptr<rocksdb::Checkpoint> checkpoint(made);
  // Flushes the memtables first, so that snapshots, which are not in the WAL,
  // are copied too. What is appended meanwhile is in the copy of the WAL.
  const FlushReminder reminder(*db_, AllColumnFamilies());
  return ToAbslStatus(checkpoint->CreateCheckpoint(path), doing);
}

absl::StatusOr<BackupInfo> RocksDbStateStore::Backup(const std::string& folder,
                                                     uint32_t keep) {
  const std::string doing = absl::StrCat("making a backup in ", folder);
  rocksdb::BackupEngine* opened = nullptr;
  rocksdb::BackupEngineOptions options(folder);
  absl::Status status = ToAbslStatus(
      rocksdb::BackupEngine::Open(options, rocksdb::Env::Default(), &opened),
      doing);
  if (!status.ok()) return status;
  const std::unique_ptr<rocksdb::BackupEngine> engine(opened);
  rocksdb::CreateBackupOptions create;
  create.flush_before_backup = true;
  rocksdb::BackupID id = 0;
  const FlushReminder reminder(*db_, AllColumnFamilies());
  status = ToAbslStatus(engine->CreateNewBackup(create, db_.get(), &id), doing);
  if (!status.ok()) return status;
  BackupInfo info;
  info.new_bytes = NewBytes(*engine, id);
  rocksdb::BackupInfo made;
  status = ToAbslStatus(engine->GetBackupInfo(id, &made), doing);
  if (!status.ok()) return status;
  info.id = id;
  info.time_us = made.timestamp * 1'000'000;
  info.bytes = made.size;
  if (keep > 0) {
    status = ToAbslStatus(engine->PurgeOldBackups(keep),
                          absl::StrCat("removing old backups in ", folder));
    if (!status.ok()) return status;
  }
  return info;
}

}  // namespace qlarank::rocksdb_internal
