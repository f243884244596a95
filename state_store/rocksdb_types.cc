#include "state_store/rocksdb_types.h"

#include <string>

#include "absl/strings/cord.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "state_store/rocksdb_state_store.h"

namespace qlarank {
namespace {

constexpr absl::string_view kRestartNeeded = "qlarank/restart_needed";

}  // namespace

bool RestartNeeded(const absl::Status& fault) {
  return fault.GetPayload(kRestartNeeded).has_value();
}

namespace rocksdb_internal {

void MarkRestartNeeded(absl::Status& fault) {
  fault.SetPayload(kRestartNeeded, absl::Cord());
}

absl::Status ToAbslStatus(const rocksdb::Status& status,
                          absl::string_view doing) {
  if (status.ok()) return absl::OkStatus();
  const std::string message = absl::StrCat(doing, ": ", status.ToString());
  if (status.IsCorruption()) return absl::DataLossError(message);
  if (status.IsNoSpace()) {
    return absl::UnavailableError(absl::StrCat(
        doing, ": the disk is full; writing resumes by itself once there is ",
        "room (", status.ToString(), ")"));
  }
  if (status.IsIOError() &&
      absl::StrContains(status.ToString(), "Too many open files")) {
    return absl::UnavailableError(absl::StrCat(
        doing, ": too many files are open; writing resumes by itself once some "
        "are closed (", status.ToString(), ")"));
  }
  if (status.severity() >= rocksdb::Status::Severity::kFatalError) {
    return absl::UnavailableError(absl::StrCat(
        doing, ": the disk has failed a write, and takes none before a ",
        "restart (", status.ToString(), ")"));
  }
  if (status.IsIOError() || status.IsBusy() || status.IsTimedOut() ||
      status.IsTryAgain() || status.IsIncomplete() || status.IsAborted() ||
      status.IsShutdownInProgress()) {
    return absl::UnavailableError(message);
  }
  return absl::InternalError(message);
}

}  // namespace rocksdb_internal
}  // namespace qlarank
