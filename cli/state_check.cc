#include "cli/state_check.h"

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "cli/event_time.h"
#include "cli/state_text.h"

namespace qlarank {

absl::Status CheckState(const EventHistory& history, const std::string& path,
                        const std::string& user, const v1::StateInfo& state) {
  if (state.event_count() == 0) return absl::OkStatus();
  const uint64_t events = history.NumEvents(user);
  // What the server keeps is no finer than microseconds.
  if (state.event_count() <= events &&
      ToAbslTime(state.last_event_time()) <=
          history.Newest(user) + absl::Microseconds(1)) {
    return absl::OkStatus();
  }
  std::string known = absl::StrCat("has ", events);
  if (events > 0) {
    absl::StrAppend(&known, ", newest ",
                    absl::FormatTime("%Y-%m-%dT%H:%M:%E*SZ",
                                     history.Newest(user),
                                     absl::UTCTimeZone()));
  }
  return absl::InvalidArgumentError(absl::StrCat(
      "the server knows more of user ", user,
      " than the history: ", StateToText(state), ", where ", path, " ", known,
      ". If that is what came next, the evaluation would measure how well the "
      "past is known: import the history alone into an empty store, or say "
      "--allow-other-events"));
}

}  // namespace qlarank
