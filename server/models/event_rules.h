// What makes an event acceptable, the same for stored events and for those that
// a Rank request brings along. Pure functions.
#ifndef QLARANK_SERVER_MODELS_EVENT_RULES_H_
#define QLARANK_SERVER_MODELS_EVENT_RULES_H_

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "config/server_options.h"
#include "google/protobuf/repeated_field.h"
#include "qlarank/v1/event.pb.h"
#include "server/models/event_vocabulary.h"

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

// Time there, valid and not too far ahead of `now`; an action and as many
// features as `vocabulary` has, all of them in range.
// INVALID_ARGUMENT names the field within the event: "time: ...".
absl::Status CheckEvent(const v1::Event& event,
                        const EventVocabulary& vocabulary,
                        const LimitsOptions& limits, absl::Time now);

}  // namespace qlarank

#endif  // QLARANK_SERVER_MODELS_EVENT_RULES_H_
