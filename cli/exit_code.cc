#include "cli/exit_code.h"

namespace qlarank {

const char kExitCodeHelp[] =
    "Exit codes: 0 done; 1 the answer is no (no such user, not serving, some\n"
    "of a file not imported, a duplicate); 2 bad usage or input; 3 server\n"
    "unreachable or draining; 4 other errors.";

ExitCode ExitCodeFor(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kOk:
      return ExitCode::kOk;
    case absl::StatusCode::kInvalidArgument:
    case absl::StatusCode::kOutOfRange:
      return ExitCode::kBadInput;
    case absl::StatusCode::kUnavailable:
      return ExitCode::kUnavailable;
    default:
      return ExitCode::kRpcError;
  }
}

}  // namespace qlarank
