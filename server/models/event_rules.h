// What makes an event acceptable, the same for stored events and for those that
// a Rank request brings along. Pure functions.
#ifndef QLARANK_SERVER_MODELS_EVENT_RULES_H_
#define QLARANK_SERVER_MODELS_EVENT_RULES_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "config/server_options.h"
#include "google/protobuf/repeated_field.h"
#include "model/bundle.h"
#include "qlarank/v1/event.pb.h"
#include "qlarank/v1/ingest_service.pb.h"

namespace qlarank {

// Not empty, at most max_user_id_bytes. "user_id: ...".
absl::Status CheckUserId(absl::string_view user_id,
                         const LimitsOptions& limits);

// The greatest magnitude of a feature. Far beyond what any model is trained on,
// and far below where squares of what follows from it leave float32: with it
// no score and no state becomes infinite or NaN.
inline constexpr float kMaxFeature = 1e9f;

// Every value finite and at most kMaxFeature either way.
// "<field>[i]: nan; must be finite".
absl::Status CheckFeatures(
    absl::string_view field,
    const google::protobuf::RepeatedField<float>& values);

// Time there, valid and not too far ahead of `now`; the action known to
// `bundle` ("" is its first); as many features as it declares, all of
// them in range.
// INVALID_ARGUMENT names the field within the event: "time: ...".
absl::Status CheckEvent(const v1::Event& event, const Bundle& bundle,
                        const LimitsOptions& limits, absl::Time now);

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

// One event of a request, against every bundle in `bundles` (at least one).
// INVALID_ARGUMENT names the field within the event: "event.time: ...".
absl::Status CheckUserEvent(const v1::UserEvent& event,
                            absl::Span<const Bundle* const> bundles,
                            const LimitsOptions& limits, absl::Time now);

// Whether an event has a user and a sequence that could be taken, whatever else
// is wrong with it.
bool HasPosition(const v1::UserEvent& event, const LimitsOptions& limits);

}  // namespace qlarank

#endif  // QLARANK_SERVER_MODELS_EVENT_RULES_H_
