// Whether the other candidates of a request move a candidate's score.
#ifndef QLARANK_BENCH_ATTENTION_LEAKAGE_H_
#define QLARANK_BENCH_ATTENTION_LEAKAGE_H_

#include <functional>
#include <vector>

#include "absl/types/span.h"

namespace qlarank::bench::attention {

struct Leakage {
  // Every score kept all its bits.
  bool bitwise_equal = true;
  // The largest change of a score, in standard deviations of the scores.
  double largest_move = 0;
};

// Scores [n] of candidates with tokens [n, d] after a fixed history.
using RankFunction =
    std::function<std::vector<float>(absl::Span<const float> tokens)>;

// Ranks 100 random candidates, then the same ones alone, in fewer and in more
// company, in another order and next to other candidates.
Leakage MeasureLeakage(const RankFunction& rank);

}  // namespace qlarank::bench::attention

#endif  // QLARANK_BENCH_ATTENTION_LEAKAGE_H_
