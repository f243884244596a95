// Events whose labels say what came of them, as a server is asked about them:
// each a candidate, from the state before its moment.
//
// A moment is a user's events of one time; none of them is in the state that
// scores another. The history is in the server; what was held out and is
// earlier comes with the request, as its recent events.
#ifndef QLARANK_CLI_LABELLED_EVENTS_H_
#define QLARANK_CLI_LABELLED_EVENTS_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "cli/event_file.h"
#include "cli/event_history.h"
#include "qlarank/v1/event.pb.h"
#include "qlarank/v1/rank_service.pb.h"

namespace qlarank {

// An event that is held out, with what its line says beside it.
struct HeldOutEvent {
  bool has_label() const;

  v1::Event event;
  uint64_t line;
  // Empty without a label: only what is asked about needs them.
  EventContext context;
  std::vector<float> candidate_features;
  std::vector<v1::CategoryValues> candidate_categories;
  // Of each of the format's label columns.
  std::vector<std::optional<bool>> labels;
};

struct HeldOutUser {
  std::string user;
  // In order of time, those of one time in the file's.
  std::vector<HeldOutEvent> events;
};

struct LabelledEvents {
  EventHistory history;
  std::string path;  // of the file that has what is held out
  // Who has an event with a label, in order of their first line.
  std::vector<HeldOutUser> users;
};

// What events of one time of a user are.
enum class EqualTimes {
  kMoment,  // one moment, whose order says nothing
  kOrder,   // moments of their own, in the file's order
};

// The events of a held-out file; or with `heldout_path` "", every user's last
// event of the history's own file, which then is not in the history.
// INVALID_ARGUMENT names file, line, column and value; the file, when nothing
// in it has a label; and the user, when something held out is not after their
// history, so that the state before it is not that of the history.
absl::StatusOr<LabelledEvents> LoadLabelledEvents(
    const std::string& history_path, const std::string& heldout_path,
    const EventFormat& format, EqualTimes equal_times);

// Events of one moment and one context, which are candidates of one request.
struct LabelJob {
  size_t user;                 // index into LabelledEvents::users
  size_t recent;               // so many of their events are before the moment
  std::vector<size_t> events;  // indices into theirs; each has a label
};

std::vector<LabelJob> MakeLabelJobs(const LabelledEvents& data,
                                    EqualTimes equal_times);

// The request of a job, but for the tasks.
v1::RankRequest LabelRequest(const LabelledEvents& data, const LabelJob& job);

}  // namespace qlarank

#endif  // QLARANK_CLI_LABELLED_EVENTS_H_
