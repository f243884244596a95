#include "server/ingest/expanded_append.h"

#include "absl/algorithm/container.h"
#include "server/work/field_error.h"

namespace qlarank {

std::shared_ptr<const v1::AppendEventsRequest> ExpandCategories(
    const v1::AppendEventsRequest& request, const CategoryFeatures& categories,
    size_t& unknown) {
  if (absl::c_all_of(request.events(), [](const v1::UserEvent& event) {
        return event.event().categories().empty();
      })) {
    return nullptr;
  }
  auto expanded = std::make_shared<v1::AppendEventsRequest>(request);
  for (v1::UserEvent& event : *expanded->mutable_events()) {
    if (event.event().categories().empty()) continue;
    // What is wrong is for CheckExpanded to say, event by event.
    categories.Expand(*event.mutable_event(), unknown).IgnoreError();
  }
  return expanded;
}

absl::Status CheckExpanded(const v1::UserEvent& event,
                           const CategoryFeatures& categories) {
  if (event.event().categories().empty()) return absl::OkStatus();
  v1::Event copy = event.event();
  size_t unknown = 0;
  return Within("event.", categories.Expand(copy, unknown));
}

}  // namespace qlarank
