#include "cli/evaluation_data.h"

#include <algorithm>
#include <map>
#include <utility>

namespace qlarank {
namespace {

using Cases = std::map<std::string, EvaluationCase>;

void AddToBasket(const v1::UserEvent& event, const EventContext& context,
                 Cases& cases) {
  EvaluationCase& next = cases[event.user_id()];
  const absl::Time time = ToAbslTime(event.event().time());
  if (next.items.empty() || time < ToAbslTime(next.time)) {
    next.items.clear();
    next.time = event.event().time();
    next.context = context;
  }
  if (time == ToAbslTime(next.time)) {
    next.items.push_back(event.event().item_id());
  }
}

void FinishCases(Cases cases, EvaluationData& data) {
  for (auto& [user, next] : cases) {
    if (!data.history.HasUser(user)) {
      ++data.users_without_history;
      continue;
    }
    std::sort(next.items.begin(), next.items.end());
    next.items.erase(std::unique(next.items.begin(), next.items.end()),
                     next.items.end());
    next.user = user;
    data.cases.push_back(std::move(next));
  }
}

}  // namespace

absl::StatusOr<EvaluationData> LoadNextBaskets(const std::string& history_path,
                                               const std::string& heldout_path,
                                               const EventFormat& format) {
  EvaluationData data;
  Cases cases;
  absl::Status status = ForEachEventInContext(
      heldout_path, format,
      [&](const v1::UserEvent& event, const EventCsv& line) {
        AddToBasket(event, line.context(), cases);
        data.cut = std::min(data.cut, ToAbslTime(event.event().time()));
      });
  if (!status.ok()) return status;
  EventFormat of_history = format;
  of_history.columns.context.clear();  // of what comes next alone
  status = ForEachEvent(
      history_path, of_history,
      [&](const v1::UserEvent& event) { data.history.Add(event); });
  if (!status.ok()) return status;
  FinishCases(std::move(cases), data);
  return data;
}

absl::StatusOr<EvaluationData> LoadLeaveLastOut(const std::string& path,
                                                const EventFormat& format) {
  absl::StatusOr<LastEvents> last = FindLastEvents(path, format);
  if (!last.ok()) return last.status();
  EvaluationData data;
  data.unseen_only = true;
  Cases cases;
  absl::Status status = ForEachEventInContext(
      path, format,
      [&](const v1::UserEvent& event, const EventCsv& line) {
        if (IsLastEvent(*last, event)) {
          AddToBasket(event, line.context(), cases);
        } else {
          data.history.Add(event);
        }
      });
  if (!status.ok()) return status;
  FinishCases(std::move(cases), data);
  return data;
}

}  // namespace qlarank
