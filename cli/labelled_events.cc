#include "cli/labelled_events.h"

#include <algorithm>
#include <utility>

#include "absl/algorithm/container.h"
#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "cli/rank_all.h"

namespace qlarank {
namespace {

// A server's times are no finer.
int64_t TimeUs(const HeldOutEvent& event) {
  return absl::ToUnixMicros(ToAbslTime(event.event.time()));
}

class HeldOut {
 public:
  void Add(v1::UserEvent& event, const EventCsv& line) {
    auto [at, is_new] = index_.try_emplace(event.user_id(), users_.size());
    if (is_new) users_.push_back({.user = event.user_id(), .events = {}});
    HeldOutEvent& added = users_[at->second].events.emplace_back();
    added.event = std::move(*event.mutable_event());
    added.line = event.sequence();
    added.labels = line.labels();
    if (added.has_label()) {
      added.context = line.context();
      added.candidate_features = line.candidate_features();
      added.candidate_categories = line.candidate_categories();
    }
  }

  // Those who have a label.
  std::vector<HeldOutUser> Finish() {
    std::erase_if(users_, [](const HeldOutUser& user) {
      return absl::c_none_of(user.events, [](const HeldOutEvent& event) {
        return event.has_label();
      });
    });
    for (HeldOutUser& user : users_) {
      absl::c_stable_sort(user.events,
                          [](const HeldOutEvent& a, const HeldOutEvent& b) {
                            return TimeUs(a) < TimeUs(b);
                          });
    }
    return std::move(users_);
  }

 private:
  absl::flat_hash_map<std::string, size_t> index_;
  std::vector<HeldOutUser> users_;
};

absl::Status CheckOrder(const LabelledEvents& data, EqualTimes equal_times) {
  for (const HeldOutUser& user : data.users) {
    const absl::Time newest = data.history.Newest(user.user);
    const absl::Time first = ToAbslTime(user.events.front().event.time());
    if (first > newest ||
        (first == newest && equal_times == EqualTimes::kOrder)) {
      continue;
    }
    return absl::InvalidArgumentError(absl::StrCat(
        data.path, ":", user.events.front().line, ": user ", user.user,
        " has an event held out that is not after their history: ",
        absl::FormatTime("%Y-%m-%dT%H:%M:%E*SZ", first, absl::UTCTimeZone()),
        ", where the history's newest is of ",
        absl::FormatTime("%Y-%m-%dT%H:%M:%E*SZ", newest, absl::UTCTimeZone()),
        ". It cannot be scored from the state before its moment"));
  }
  return absl::OkStatus();
}

absl::Status ReadTwoFiles(const std::string& history_path,
                          const std::string& heldout_path,
                          const EventFormat& format, EventHistory& history,
                          HeldOut& held_out) {
  absl::Status status = ForEachEventInContext(
      heldout_path, format, [&](v1::UserEvent& event, const EventCsv& line) {
        held_out.Add(event, line);
      });
  if (!status.ok()) return status;
  EventFormat of_history = format;
  // What was shown is asked about what is held out alone.
  of_history.columns.context.clear();
  of_history.columns.candidate_features.clear();
  of_history.columns.candidate_categories.clear();
  of_history.columns.labels.clear();
  return ForEachEvent(history_path, of_history,
                      [&](const v1::UserEvent& event) { history.Add(event); });
}

absl::Status ReadOneFile(const std::string& path, const EventFormat& format,
                         EventHistory& history, HeldOut& held_out) {
  absl::StatusOr<LastEvents> last = FindLastEvents(path, format);
  if (!last.ok()) return last.status();
  return ForEachEventInContext(
      path, format, [&](v1::UserEvent& event, const EventCsv& line) {
        if (IsLastEvent(*last, event)) {
          held_out.Add(event, line);
        } else {
          history.Add(event);
        }
      });
}

void AddCategories(const HeldOutEvent& candidate, v1::RankRequest& request) {
  auto& categories = *request.mutable_candidate_categories();
  for (size_t i = 0; i < candidate.candidate_categories.size(); ++i) {
    const v1::CategoryValues& of_event = candidate.candidate_categories[i];
    if (i == static_cast<size_t>(categories.size())) {
      categories.Add()->set_name(of_event.name());
    }
    *categories[static_cast<int>(i)].add_candidates()->mutable_values() =
        of_event.values();
  }
}

}  // namespace

bool HeldOutEvent::has_label() const {
  return absl::c_any_of(labels, [](auto label) { return label.has_value(); });
}

absl::StatusOr<LabelledEvents> LoadLabelledEvents(
    const std::string& history_path, const std::string& heldout_path,
    const EventFormat& format, EqualTimes equal_times) {
  LabelledEvents data;
  data.path = heldout_path.empty() ? history_path : heldout_path;
  HeldOut held_out;
  absl::Status status =
      heldout_path.empty()
          ? ReadOneFile(history_path, format, data.history, held_out)
          : ReadTwoFiles(history_path, heldout_path, format, data.history,
                         held_out);
  if (!status.ok()) return status;
  data.users = held_out.Finish();
  if (data.users.empty()) {
    return absl::InvalidArgumentError(absl::StrCat(
        data.path, " has no event held out with a label: ",
        absl::StrJoin(format.columns.labels, ", "),
        format.columns.labels.size() == 1 ? " is" : " are", " empty"));
  }
  if (absl::Status s = CheckOrder(data, equal_times); !s.ok()) return s;
  return data;
}

std::vector<LabelJob> MakeLabelJobs(const LabelledEvents& data,
                                    EqualTimes equal_times) {
  std::vector<LabelJob> jobs;
  for (size_t user = 0; user < data.users.size(); ++user) {
    const std::vector<HeldOutEvent>& events = data.users[user].events;
    size_t moment = 0;  // its first event
    for (size_t at = 0; at < events.size(); ++at) {
      if (equal_times == EqualTimes::kOrder ||
          TimeUs(events[at]) != TimeUs(events[moment])) {
        moment = at;
      }
      if (!events[at].has_label()) continue;
      const bool with_last =
          !jobs.empty() && jobs.back().user == user &&
          jobs.back().recent == moment &&
          events[jobs.back().events.front()].context == events[at].context;
      if (!with_last) jobs.push_back({user, moment, {}});
      jobs.back().events.push_back(at);
    }
  }
  return jobs;
}

v1::RankRequest LabelRequest(const LabelledEvents& data, const LabelJob& job) {
  const HeldOutUser& user = data.users[job.user];
  v1::RankRequest request;
  request.set_user_id(user.user);
  for (size_t at = 0; at < job.recent; ++at) {
    *request.add_recent_events() = user.events[at].event;
  }
  for (size_t at : job.events) {
    const HeldOutEvent& candidate = user.events[at];
    request.add_item_ids(candidate.event.item_id());
    request.mutable_candidate_features()->Add(
        candidate.candidate_features.begin(),
        candidate.candidate_features.end());
    AddCategories(candidate, request);
  }
  const HeldOutEvent& first = user.events[job.events.front()];
  *request.mutable_request_time() = first.event.time();
  FillContext(first.context, request);
  return request;
}

}  // namespace qlarank
