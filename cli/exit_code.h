// What the process's exit code says to a script.
#ifndef QLARANK_CLI_EXIT_CODE_H_
#define QLARANK_CLI_EXIT_CODE_H_

#include "absl/status/status.h"

namespace qlarank {

enum class ExitCode : int {
  kOk = 0,
  // The question was answered, and the answer is no: no such user, a service
  // that does not serve, an event that is a duplicate, some of a file that was
  // not imported.
  kNegative = 1,
  // Usage, a file that cannot be read or parsed, a request refused as invalid.
  kBadInput = 2,
  // The server cannot be reached or is draining.
  kUnavailable = 3,
  // Any other error that the server returned.
  kRpcError = 4,
};

// The table above, for --help.
extern const char kExitCodeHelp[];

// Where a failed call or a bad input ends. NOT_FOUND is kRpcError: it is
// what the server says of an unknown model, whereas an unknown user is in
// the reply.
ExitCode ExitCodeFor(const absl::Status& status);

}  // namespace qlarank

#endif  // QLARANK_CLI_EXIT_CODE_H_
