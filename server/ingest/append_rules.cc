#include "server/ingest/append_rules.h"

#include "absl/strings/str_cat.h"
#include "server/models/event_rules.h"
#include "server/work/field_error.h"

namespace qlarank {

absl::Status CheckSource(absl::string_view source,
                         const LimitsOptions& limits) {
  if (source.empty()) return FieldError("source", "\"\"", "is required");
  if (source.size() > limits.max_source_bytes) {
    return FieldError(
        "source", Quoted(source),
        absl::StrCat("must be at most ", limits.max_source_bytes, " bytes"));
  }
  return absl::OkStatus();
}

absl::Status CheckSequence(absl::string_view field, uint64_t sequence) {
  if (sequence == 0) return FieldError(field, 0, "must be at least 1");
  if (sequence > kMaxSourceSequence) {
    return FieldError(field, sequence,
                      absl::StrCat("must be at most ", kMaxSourceSequence));
  }
  return absl::OkStatus();
}

absl::Status CheckAppend(const v1::AppendEventsRequest& request,
                         const LimitsOptions& limits) {
  if (absl::Status status = CheckSource(request.source(), limits);
      !status.ok()) {
    return status;
  }
  const size_t num_events = request.events_size();
  if (num_events > limits.max_events_per_append) {
    return FieldError(
        "events", absl::StrCat(num_events, " events"),
        absl::StrCat("must be at most ", limits.max_events_per_append));
  }
  return absl::OkStatus();
}

absl::Status CheckUserEvent(const v1::UserEvent& event,
                            const EventVocabulary& vocabulary,
                            const LimitsOptions& limits, absl::Time now) {
  if (absl::Status status = CheckUserId(event.user_id(), limits);
      !status.ok()) {
    return status;
  }
  if (absl::Status status = CheckSequence("sequence", event.sequence());
      !status.ok()) {
    return status;
  }
  if (!event.has_event()) {
    return FieldError("event", "missing", "is required");
  }
  return Within("event.", CheckEvent(event.event(), vocabulary, limits, now));
}

bool HasPosition(const v1::UserEvent& event, const LimitsOptions& limits) {
  return CheckUserId(event.user_id(), limits).ok() &&
         CheckSequence("sequence", event.sequence()).ok();
}

}  // namespace qlarank
