#include "state_store/rocksdb_types.h"

#include <string>

#include "absl/strings/str_cat.h"

namespace qlarank::rocksdb_internal {

absl::Status ToAbslStatus(const rocksdb::Status& status,
                          absl::string_view doing) {
  if (status.ok()) return absl::OkStatus();
  const std::string message = absl::StrCat(doing, ": ", status.ToString());
  if (status.IsCorruption()) return absl::DataLossError(message);
  if (status.IsIOError() || status.IsBusy() || status.IsTimedOut() ||
      status.IsTryAgain() || status.IsIncomplete() || status.IsAborted() ||
      status.IsShutdownInProgress()) {
    return absl::UnavailableError(message);
  }
  return absl::InternalError(message);
}

}  // namespace qlarank::rocksdb_internal
