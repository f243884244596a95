// Copies of a store, seen from outside any store: what backups a folder holds,
// and a new store out of a backup or a checkpoint. StateStore makes the copies.
//
// Errors: NOT_FOUND for what is not there, ALREADY_EXISTS for what is in the
// way, DATA_LOSS for a damaged copy, UNAVAILABLE when the disk fails. Messages
// name the path. All block on the disk.
#ifndef QLARANK_STATE_STORE_STORE_COPIES_H_
#define QLARANK_STATE_STORE_STORE_COPIES_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "state_store/state_store.h"

namespace qlarank {

// The whole backups in a folder, the oldest first.
absl::StatusOr<std::vector<BackupInfo>> ListBackups(const std::string& folder);

// Makes the store at `path`, where nothing may be, of a checkpoint or of a
// folder of backups; of these the one with `backup_id`, 0 for the newest, whose
// files' checksums are compared first. A checkpoint is copied, its table files
// linked where the file system allows it, and can be used again.
//
// What is at `path` afterwards is whole: the work is done beside it, in
// `path`.restoring, which is removed first when an earlier attempt left one.
absl::Status RestoreStore(const std::string& source, uint32_t backup_id,
                          const std::string& path);

}  // namespace qlarank

#endif  // QLARANK_STATE_STORE_STORE_COPIES_H_
