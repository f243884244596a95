#include "server/models/event_rules.h"

#include <cmath>

#include "absl/strings/str_cat.h"
#include "server/work/field_error.h"
#include "server/work/proto_time.h"

namespace qlarank {
namespace {

absl::Status CheckTime(const v1::Event& event, const LimitsOptions& limits,
                       absl::Time now) {
  if (!event.has_time()) {
    return FieldError("time", "missing", "is required");
  }
  if (!IsValid(event.time())) {
    return FieldError(
        "time",
        absl::StrCat(event.time().seconds(), " s ", event.time().nanos(),
                     " ns"),
        "must be a valid timestamp (years 1 to 9999, nanos below 1e9)");
  }
  const absl::Time time = absl::FromUnixMicros(ToMicros(event.time()));
  if (time > now + limits.max_event_future) {
    return FieldError(
        "time", absl::FormatTime(time, absl::UTCTimeZone()),
        absl::StrCat("must not be more than ",
                     absl::FormatDuration(limits.max_event_future),
                     " ahead of the server's clock"));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status CheckUserId(absl::string_view user_id,
                         const LimitsOptions& limits) {
  if (user_id.empty()) return FieldError("user_id", "\"\"", "is required");
  if (user_id.size() > limits.max_user_id_bytes) {
    return FieldError(
        "user_id", Quoted(user_id),
        absl::StrCat("must be at most ", limits.max_user_id_bytes, " bytes"));
  }
  return absl::OkStatus();
}

absl::Status CheckFeatures(
    absl::string_view field,
    const google::protobuf::RepeatedField<float>& values) {
  for (int i = 0; i < values.size(); ++i) {
    if (!std::isfinite(values[i])) {
      return FieldError(absl::StrCat(field, "[", i, "]"), values[i],
                        "must be finite");
    }
    if (std::abs(values[i]) > kMaxFeature) {
      return FieldError(absl::StrCat(field, "[", i, "]"), values[i],
                        "must be between -1e9 and 1e9");
    }
  }
  return absl::OkStatus();
}

absl::Status CheckEvent(const v1::Event& event,
                        const EventVocabulary& vocabulary,
                        const LimitsOptions& limits, absl::Time now) {
  if (absl::Status status = CheckTime(event, limits, now); !status.ok()) {
    return status;
  }
  if (!event.item_key().empty()) {
    return FieldError("item_key", Quoted(event.item_key()),
                      absl::StrCat("has an item_id beside it, ",
                                   event.item_id(), ": give one of them"));
  }
  absl::Status status = vocabulary.CheckAction(event.action());
  if (status.ok()) status = vocabulary.CheckNumFeatures(event.features_size());
  if (!status.ok()) return status;
  return CheckFeatures("features", event.features());
}

}  // namespace qlarank
