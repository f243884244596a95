// The part of `qlarank evaluate` that measures predictions of labels.
#ifndef QLARANK_CLI_EVALUATE_LABELS_H_
#define QLARANK_CLI_EVALUATE_LABELS_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "cli/command.h"
#include "cli/event_file.h"
#include "cli/labelled_events.h"

namespace qlarank {

struct LabelOptions {
  std::string history;
  std::string heldout;  // "": each user's last event in the history's file
  std::string bundle;
  EventFormat format;
  std::vector<std::string> labels;  // task=column
  EqualTimes equal_times = EqualTimes::kMoment;
  size_t in_flight = 2;
  size_t max_users = 0;  // 0: all
  std::string scores;    // file to write; "": none
  bool allow_other_events = false;
};

// Scores every event that is held out and has a label, each from the state
// before its moment, and prints how good the scores are.
absl::StatusOr<ExitCode> EvaluateLabels(CommandContext& context,
                                        const LabelOptions& options);

}  // namespace qlarank

#endif  // QLARANK_CLI_EVALUATE_LABELS_H_
