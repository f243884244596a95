#include "state_store/rocksdb_inspect.h"

#include "absl/strings/str_cat.h"
#include "rocksdb/env.h"

namespace qlarank::rocksdb_internal {

absl::StatusOr<InspectionLock> LockForInspection(const std::string& path) {
  rocksdb::Env* env = rocksdb::Env::Default();
  const std::string file = path + "/LOCK";
  if (!env->FileExists(file).ok()) return InspectionLock();
  rocksdb::FileLock* lock = nullptr;
  const rocksdb::Status locked = env->LockFile(file, &lock);
  if (!locked.ok()) {
    return absl::FailedPreconditionError(absl::StrCat(
        "store ", path, " is open in a process: stop it, or look at a "
        "checkpoint instead (", locked.ToString(), ")"));
  }
  return InspectionLock(lock, [env](void* held) {
    env->UnlockFile(static_cast<rocksdb::FileLock*>(held))
        .PermitUncheckedError();
  });
}

}  // namespace qlarank::rocksdb_internal
