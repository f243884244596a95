#include "server/rank/expanded_request.h"

#include "absl/algorithm/container.h"
#include "absl/strings/str_cat.h"
#include "server/work/field_error.h"

namespace qlarank {

absl::StatusOr<std::unique_ptr<v1::RankRequest>> ExpandCategories(
    const v1::RankRequest& request, const LoadedModel& model,
    const LoadedModel& main, const LimitsOptions& limits, size_t& unknown) {
  const auto has_categories = [](const v1::Event& event) {
    return !event.categories().empty();
  };
  if (request.candidate_categories().empty() &&
      absl::c_none_of(request.recent_events(), has_categories)) {
    return nullptr;
  }
  auto expanded = std::make_unique<v1::RankRequest>(request);
  absl::Status status = model.candidate_categories.Expand(
      *expanded, limits.max_message_bytes, unknown);
  if (!status.ok()) return status;
  // Too many are refused for it, later.
  const int events =
      std::min<int>(request.recent_events_size(), limits.max_recent_events);
  for (int i = 0; i < events; ++i) {
    status = main.event_categories.Expand(*expanded->mutable_recent_events(i),
                                          unknown);
    if (!status.ok()) {
      return Within(absl::StrCat("recent_events[", i, "]."), status);
    }
  }
  return expanded;
}

}  // namespace qlarank
