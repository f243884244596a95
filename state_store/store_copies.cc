#include "state_store/store_copies.h"

#include <filesystem>
#include <memory>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "rocksdb/env.h"
#include "rocksdb/utilities/backup_engine.h"
#include "state_store/folders.h"
#include "state_store/rocksdb_types.h"

namespace qlarank {
namespace {

namespace fs = std::filesystem;

absl::StatusOr<std::unique_ptr<rocksdb::BackupEngineReadOnly>> OpenBackups(
    const std::string& folder) {
  std::error_code error;
  // Opening makes the folder when it is not there.
  if (!fs::is_directory(fs::path(folder) / "meta", error)) {
    return absl::NotFoundError(
        absl::StrCat(folder, ": not a folder of backups"));
  }
  rocksdb::BackupEngineReadOnly* opened = nullptr;
  absl::Status status = rocksdb_internal::ToAbslStatus(
      rocksdb::BackupEngineReadOnly::Open(rocksdb::BackupEngineOptions(folder),
                                          rocksdb::Env::Default(), &opened),
      absl::StrCat("opening the backups in ", folder));
  if (!status.ok()) return status;
  return std::unique_ptr<rocksdb::BackupEngineReadOnly>(opened);
}

absl::Status CopyBackup(const std::string& folder, uint32_t backup_id,
                        const std::string& path) {
  auto backups = OpenBackups(folder);
  if (!backups.ok()) return backups.status();
  std::vector<rocksdb::BackupInfo> infos;
  (*backups)->GetBackupInfo(&infos);
  if (infos.empty()) {
    return absl::NotFoundError(absl::StrCat(folder, ": holds no whole backup"));
  }
  uint32_t id = infos.back().backup_id;
  if (backup_id != 0) {
    id = 0;
    for (const auto& info : infos) {
      if (info.backup_id == backup_id) id = backup_id;
    }
    if (id == 0) {
      return absl::NotFoundError(absl::StrCat(
          folder, ": has no backup ", backup_id, "; the newest is ",
          infos.back().backup_id));
    }
  }
  const std::string name = absl::StrCat("backup ", id, " in ", folder);
  const rocksdb::Status verified =
      (*backups)->VerifyBackup(id, /*verify_with_checksum=*/true);
  if (verified.IsNotFound()) {
    return absl::DataLossError(absl::StrCat(name, ": ", verified.ToString()));
  }
  absl::Status status = rocksdb_internal::ToAbslStatus(verified, name);
  if (!status.ok()) return status;
  return rocksdb_internal::ToAbslStatus(
      (*backups)->RestoreDBFromBackup(id, path, path),
      absl::StrCat("restoring ", name));
}

}  // namespace

absl::StatusOr<std::vector<BackupInfo>> ListBackups(const std::string& folder) {
  auto backups = OpenBackups(folder);
  if (!backups.ok()) return backups.status();
  std::vector<rocksdb::BackupInfo> infos;
  (*backups)->GetBackupInfo(&infos);
  std::vector<BackupInfo> result;
  for (const rocksdb::BackupInfo& info : infos) {
    BackupInfo& backup = result.emplace_back();
    backup.id = info.backup_id;
    backup.time_us = info.timestamp * 1'000'000;
    backup.bytes = info.size;
  }
  return result;
}

absl::Status RestoreStore(const std::string& source, uint32_t backup_id,
                          const std::string& path) {
  std::error_code error;
  const bool is_checkpoint = fs::exists(fs::path(source) / "CURRENT", error);
  if (is_checkpoint && backup_id != 0) {
    return absl::InvalidArgumentError(absl::StrCat(
        source, ": a checkpoint has no numbered backups, but backup ",
        backup_id, " was asked for"));
  }
  absl::StatusOr<NewFolder> folder = NewFolder::At(path, ".restoring");
  if (!folder.ok()) return folder.status();
  absl::Status status = is_checkpoint
                            ? LinkOrCopyFiles(source, folder->work())
                            : CopyBackup(source, backup_id, folder->work());
  return status.ok() ? folder->Publish() : status;
}

}  // namespace qlarank
