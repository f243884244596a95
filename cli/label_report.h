// What an evaluation found of labels, for people and for scripts.
#ifndef QLARANK_CLI_LABEL_REPORT_H_
#define QLARANK_CLI_LABEL_REPORT_H_

#include <cstdint>
#include <ostream>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "cli/label_quality.h"

namespace qlarank {

struct LabelReport {
  struct Task {
    std::string name;
    LabelQuality quality;
  };

  uint64_t users = 0;
  uint64_t events = 0;  // with a label of any task
  std::vector<Task> tasks = {};
  absl::Duration elapsed;
  std::vector<absl::Duration> latencies;  // sorted, not empty; one a request
};

void PrintLabelReport(const LabelReport& report, std::ostream& out);
void PrintLabelReportJson(const LabelReport& report, std::ostream& out);

}  // namespace qlarank

#endif  // QLARANK_CLI_LABEL_REPORT_H_
