// What one event does to a ranking.
#ifndef QLARANK_CLI_RANKING_CHANGE_H_
#define QLARANK_CLI_RANKING_CHANGE_H_

#include <cstdint>
#include <ostream>
#include <string>

#include "absl/status/statusor.h"
#include "cli/client.h"

namespace qlarank {

// Ranks every item of the bundle for the event's user as of the event's time,
// appends the event, ranks again from a state that must hold it
// (min_event_count), and prints both top tens side by side.
// Returns how many events were applied: 0 if it was a duplicate.
// REQUIRES: `append` has one event.
absl::StatusOr<uint64_t> ShowChange(const Client& client,
                                    const v1::AppendEventsRequest& append,
                                    const std::string& bundle, uint32_t top_k,
                                    std::ostream& out);

}  // namespace qlarank

#endif  // QLARANK_CLI_RANKING_CHANGE_H_
