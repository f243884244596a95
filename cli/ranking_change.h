// What one event does to a ranking.
#ifndef QLARANK_CLI_RANKING_CHANGE_H_
#define QLARANK_CLI_RANKING_CHANGE_H_

#include <ostream>
#include <string>

#include "absl/status/statusor.h"
#include "cli/client.h"
#include "cli/exit_code.h"

namespace qlarank {

// Ranks every item of the bundle for the event's user as of the event's time,
// appends the event, ranks again from a state that must hold it
// (min_event_count), and prints both top tens side by side.
// REQUIRES: `append` has one event.
absl::StatusOr<ExitCode> ShowChange(const Client& client,
                                    const v1::AppendEventsRequest& append,
                                    const std::string& bundle, uint32_t top_k,
                                    std::ostream& out);

}  // namespace qlarank

#endif  // QLARANK_CLI_RANKING_CHANGE_H_
