// The ways of ranking that an evaluation compares.
#ifndef QLARANK_CLI_CONTENDERS_H_
#define QLARANK_CLI_CONTENDERS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "cli/evaluation_data.h"
#include "cli/rank_all.h"
#include "cli/ranking_quality.h"

namespace qlarank {

// A way of ranking, and how good it is at each cutoff.
struct Contender {
  std::string name;
  std::string key;  // in JSON
  std::vector<RankingQuality> qualities;
};

// The first `k` of a ranking; without what the user had before, if the
// evaluation leaves that out.
std::vector<uint64_t> TopForUser(const EvaluationData& data,
                                 const std::string& user,
                                 const std::vector<uint64_t>& ranked, size_t k);

// The server's rankings, one a case and in their order, beside the baselines:
// what everybody takes and, where repeats count, what the user took most often.
std::vector<Contender> CompareContenders(const EvaluationData& data,
                                         const std::vector<RankJob>& jobs,
                                         const std::vector<uint32_t>& cutoffs);

}  // namespace qlarank

#endif  // QLARANK_CLI_CONTENDERS_H_
