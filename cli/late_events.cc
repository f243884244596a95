#include "cli/late_events.h"

#include "cli/event_csv.h"

namespace qlarank {

void LateEvents::Add(const v1::UserEvent& event) {
  ++events_;
  const absl::Time time = ToAbslTime(event.event().time());
  auto [newest, first] = newest_.try_emplace(event.user_id(), time);
  if (first) return;
  if (time < newest->second) {
    ++late_;
  } else {
    newest->second = time;
  }
}

}  // namespace qlarank
