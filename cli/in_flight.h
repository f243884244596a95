// Blocking calls, several at a time.
#ifndef QLARANK_CLI_IN_FLIGHT_H_
#define QLARANK_CLI_IN_FLIGHT_H_

#include <cstddef>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"

namespace qlarank {

// Runs `call` for 0 to calls - 1, begun in that order, on `in_flight` threads
// (at least one), and tells it which of them it is on. Blocks until all have
// returned; after an error none is begun any more, and the first is returned.
absl::Status CallInFlight(
    size_t calls, size_t in_flight,
    absl::FunctionRef<absl::Status(size_t call, size_t thread)> call);

}  // namespace qlarank

#endif  // QLARANK_CLI_IN_FLIGHT_H_
