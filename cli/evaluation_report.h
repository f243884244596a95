// What an evaluation found, for people and for scripts.
#ifndef QLARANK_CLI_EVALUATION_REPORT_H_
#define QLARANK_CLI_EVALUATION_REPORT_H_

#include <cstdint>
#include <ostream>
#include <vector>

#include "absl/time/time.h"
#include "cli/catalogue.h"
#include "cli/contenders.h"
#include "cli/evaluation_data.h"
#include "cli/rank_all.h"
#include "nlohmann/json.hpp"

namespace qlarank {

struct EvaluationReport {
  std::vector<Contender> contenders;
  uint64_t users_without_history = 0;
  size_t candidates = 0;
  absl::Duration elapsed;
  std::vector<absl::Duration> latencies;  // sorted, not empty; one a user
};

void PrintReport(const EvaluationReport& report, std::ostream& out);
void PrintReportJson(const EvaluationReport& report, std::ostream& out);

// p50, p90, p99 and the largest of sorted ones, which are not empty.
void PrintLatencies(const std::vector<absl::Duration>& latencies,
                    std::ostream& out);
nlohmann::json LatenciesToJson(const std::vector<absl::Duration>& latencies);

// The first `rows` of a user's ranking beside what they really did.
void PrintExample(const EvaluationCase& next, const RankJob& job, size_t rows,
                  const Titles& titles, std::ostream& out);

}  // namespace qlarank

#endif  // QLARANK_CLI_EVALUATION_REPORT_H_
