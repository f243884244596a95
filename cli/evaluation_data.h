// What an evaluation asks: histories, and what each user did next.
#ifndef QLARANK_CLI_EVALUATION_DATA_H_
#define QLARANK_CLI_EVALUATION_DATA_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "cli/event_file.h"
#include "cli/event_history.h"
#include "google/protobuf/timestamp.pb.h"

namespace qlarank {

// What a user did next, and when.
struct EvaluationCase {
  std::string user;
  google::protobuf::Timestamp time;
  std::vector<uint64_t> items;  // sorted, each once, not empty
  // Of the first event of that time in the file.
  EventContext context = {};
};

struct EvaluationData {
  EventHistory history;
  // In order of the user.
  std::vector<EvaluationCase> cases;
  // The earliest time of a held-out file.
  absl::Time cut = absl::InfiniteFuture();
  // Whether only items are ranked that the user has not had.
  bool unseen_only = false;
  // Users who have something held out but no history: they are no cases.
  uint64_t users_without_history = 0;
};

// The next basket of every user: their events with the earliest time of the
// held-out file.
absl::StatusOr<EvaluationData> LoadNextBaskets(const std::string& history_path,
                                               const std::string& heldout_path,
                                               const EventFormat& format);

// The last event of every user in a file, by time; the others are their
// history, and their items are not ranked.
absl::StatusOr<EvaluationData> LoadLeaveLastOut(const std::string& path,
                                                const EventFormat& format);

}  // namespace qlarank

#endif  // QLARANK_CLI_EVALUATION_DATA_H_
