// Whether a server knows a user's history and no more.
#ifndef QLARANK_CLI_STATE_CHECK_H_
#define QLARANK_CLI_STATE_CHECK_H_

#include <string>

#include "absl/status/status.h"
#include "cli/event_history.h"
#include "qlarank/v1/rank_service.pb.h"

namespace qlarank {

// INVALID_ARGUMENT when a user's state holds more than the history, which the
// file `path` has: probably what is asked for, so that an evaluation would
// measure the future.
absl::Status CheckState(const EventHistory& history, const std::string& path,
                        const std::string& user, const v1::StateInfo& state);

}  // namespace qlarank

#endif  // QLARANK_CLI_STATE_CHECK_H_
