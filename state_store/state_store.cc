#include "state_store/state_store.h"

namespace qlarank {

absl::Status StateStore::Checkpoint(const std::string& /*path*/) {
  return absl::UnimplementedError("this store has no files to copy");
}

absl::StatusOr<BackupInfo> StateStore::Backup(const std::string& /*folder*/,
                                              uint32_t /*keep*/) {
  return absl::UnimplementedError("this store has no files to copy");
}

}  // namespace qlarank
