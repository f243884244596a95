// What makes an append acceptable, and each of its events. Pure functions.
#ifndef QLARANK_SERVER_INGEST_APPEND_RULES_H_
#define QLARANK_SERVER_INGEST_APPEND_RULES_H_

#include <cstdint>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "config/server_options.h"
#include "qlarank/v1/ingest_service.pb.h"
#include "server/models/event_vocabulary.h"

namespace qlarank {

// The highest sequence of a source: what a signed number of 64 bits holds, so
// that no client can use the last position there is by mistake.
inline constexpr uint64_t kMaxSourceSequence = INT64_MAX;

// Not empty, at most max_source_bytes. "source: ...".
absl::Status CheckSource(absl::string_view source, const LimitsOptions& limits);

// 1 to kMaxSourceSequence. "<field>: ...".
absl::Status CheckSequence(absl::string_view field, uint64_t sequence);

// What is wrong with a request as a whole: its source, or too many events.
// INVALID_ARGUMENT names the field: "source: ...".
absl::Status CheckAppend(const v1::AppendEventsRequest& request,
                         const LimitsOptions& limits);

// One event of a request.
// INVALID_ARGUMENT names the field within the event: "event.time: ...".
absl::Status CheckUserEvent(const v1::UserEvent& event,
                            const EventVocabulary& vocabulary,
                            const LimitsOptions& limits, absl::Time now);

// Whether an event has a user and a sequence that could be taken, whatever else
// is wrong with it.
bool HasPosition(const v1::UserEvent& event, const LimitsOptions& limits);

}  // namespace qlarank

#endif  // QLARANK_SERVER_INGEST_APPEND_RULES_H_
