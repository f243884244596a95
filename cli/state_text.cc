#include "cli/state_text.h"

#include "absl/strings/str_cat.h"
#include "cli/event_csv.h"
#include "cli/progress.h"

namespace qlarank {

std::string StateToText(const v1::StateInfo& state) {
  if (!state.found()) return "empty: no events";
  std::string text =
      absl::StrCat(WithCommas(state.event_count()), " event",
                   state.event_count() == 1 ? "" : "s", ", newest ",
                   FormatTime(state.last_event_time()));
  if (state.log_sequence() > state.folded_sequence()) {
    absl::StrAppend(&text, ", ", state.log_sequence() - state.folded_sequence(),
                    " waiting to be folded");
  }
  return text;
}

nlohmann::json StateToJson(const v1::StateInfo& state) {
  nlohmann::json json{{"found", state.found()},
                      {"event_count", state.event_count()},
                      {"folded_sequence", state.folded_sequence()},
                      {"log_sequence", state.log_sequence()}};
  if (state.has_last_event_time()) {
    json["last_event_time"] = FormatTime(state.last_event_time());
  }
  return json;
}

}  // namespace qlarank
