// The ways of ranking that an evaluation compares.
#ifndef QLARANK_CLI_CONTENDERS_H_
#define QLARANK_CLI_CONTENDERS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "cli/evaluation_data.h"
#include "cli/rank_all.h"
#include "cli/ranking_quality.h"

namespace qlarank {

// How good a way of ranking is, at each cutoff.
using Qualities = std::vector<RankingQuality>;

struct Contender {
  std::string name;
  Qualities all;
  // Where only what the user had before is to be found, only what they had not,
  // and only what nobody had: users without any of it are left out.
  Qualities repeat;
  Qualities first_time;
  Qualities new_item;
};

// The first `k` of a ranking; without what the user had before, if the
// evaluation leaves that out.
std::vector<uint64_t> TopForUser(const EvaluationData& data,
                                 const std::string& user,
                                 const std::vector<uint64_t>& ranked, size_t k);

// The server's rankings, one a case and in their order, beside the baselines.
// Where repeats do not count, that is popularity alone. `half_life` is that of
// the own decayed counts.
std::vector<Contender> CompareContenders(const EvaluationData& data,
                                         const std::vector<RankJob>& jobs,
                                         const std::vector<uint32_t>& cutoffs,
                                         absl::Duration half_life);

}  // namespace qlarank

#endif  // QLARANK_CLI_CONTENDERS_H_
