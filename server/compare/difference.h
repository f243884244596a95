// How far apart two models are in what they say of the same candidates: of one
// request, or of many together, which is the sum of theirs. Figures of shadow
// scoring and of `qlarank model compare` are both these.
//
// Each request's figures are rounded to multiples of 2^-30, so sums are exact,
// and the same in any order, up to 8 million requests.
//
// Plain values; pure functions.
#ifndef QLARANK_SERVER_COMPARE_DIFFERENCE_H_
#define QLARANK_SERVER_COMPARE_DIFFERENCE_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "server/metrics/shadow_metrics.h"

namespace qlarank {

// What one model says of a request's candidates.
struct CandidateScores {
  std::vector<std::string> tasks;
  std::vector<double> value_weights;  // parallel to tasks
  std::vector<float> logits;          // row-major [candidates, tasks], finite
  std::vector<bool> unknown;          // [candidates]: not in its catalogue

  size_t num_candidates() const { return unknown.size(); }
};

struct Difference {
  // What candidates are ordered by, beside the tasks: it has no mean score.
  static constexpr char kByValue[] = "(value)";

  std::map<std::string, ShadowTaskSums> by_task;  // of tasks that both have
  ShadowCandidateSums candidates;

  void Add(const Difference& other);
};

// `top_k` is what the request asked for, 0: nothing. `kByValue` is there where
// both have the same tasks. Empty where they have none in common.
Difference Compare(const CandidateScores& first, const CandidateScores& second,
                   uint32_t top_k);

// 1 less Spearman's rank correlation: the correlation of ranks, of which equal
// values have the mean. 0: the same order, 2: the reverse. NaN where all values
// of either are equal. REQUIRES: as many of each, none of them NaN.
double RankDistance(const std::vector<double>& first,
                    const std::vector<double>& second);

}  // namespace qlarank

#endif  // QLARANK_SERVER_COMPARE_DIFFERENCE_H_
