#include "state_store/state_store.h"

namespace qlarank {

absl::Status StateStore::PutSnapshots(
    absl::string_view fingerprint, absl::Span<const UserSnapshot> snapshots) {
  absl::Status status;
  for (const auto& [user_id, snapshot] : snapshots) {
    status.Update(PutSnapshot(fingerprint, user_id, snapshot));
  }
  return status;
}

absl::Status StateStore::Checkpoint(const std::string& /*path*/) {
  return absl::UnimplementedError("this store has no files to copy");
}

absl::StatusOr<BackupInfo> StateStore::Backup(const std::string& /*folder*/,
                                              uint32_t /*keep*/) {
  return absl::UnimplementedError("this store has no files to copy");
}

}  // namespace qlarank
