// The compared attention models by brute force in float64: every token's
// weights on every earlier one, written out as docs/attention.md defines them.
// Shares nothing with bench/attention but the random parameters.
#ifndef QLARANK_TESTS_BENCH_ATTENTION_REFERENCE_H_
#define QLARANK_TESTS_BENCH_ATTENTION_REFERENCE_H_

#include <string>
#include <vector>

#include "absl/types/span.h"
#include "bench/attention/history.h"
#include "bench/attention/parameters.h"

namespace qlarank::bench::attention {

struct ReferenceScores {
  std::vector<double> events;      // what each event's output scores
  std::vector<double> candidates;  // after all events
};

// `mechanism` is a name of AllMechanisms. `candidates` are tokens [C, d].
ReferenceScores ScoreByBruteForce(const std::string& mechanism,
                                  const Parameters& parameters,
                                  const Events& events,
                                  absl::Span<const float> candidates,
                                  int64_t request_time_us);

}  // namespace qlarank::bench::attention

#endif  // QLARANK_TESTS_BENCH_ATTENTION_REFERENCE_H_
