// Whether an engine scores a bundle's golden requests as the trainer's
// reference did: what no digest can tell, that the weights mean to the engine
// what they meant to the trainer (docs/model.md section 13).
#ifndef QLARANK_MODEL_GOLDEN_REPLAY_H_
#define QLARANK_MODEL_GOLDEN_REPLAY_H_

#include <cstddef>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "model/engine.h"
#include "model/precision.h"
#include "qlarank/model/v1/golden_requests.pb.h"

namespace qlarank {

// How far a task's scores may be from the expected ones, as the root mean
// square of the differences: of_spread times the standard deviation of the expected
// scores, and of_size times the greatest magnitude among them, at least 1.
struct GoldenBound {
  double of_spread;
  double of_size;
};
GoldenBound GoldenBoundOf(Precision precision);

struct GoldenReplay {
  size_t num_users = 0;   // 0: the bundle has no golden requests
  size_t num_scores = 0;  // compared
  // Of the task that is furthest off, as a share of its spread: the greatest
  // difference, and the root mean square of the differences.
  double largest_error = 0;
  double mean_error = 0;

  // "64 scores of 4 users, off by 0.000001 of their spread (0.000004 at most)",
  // or "none".
  std::string ToString() const;
};

// What the engine scores the candidates of one golden request, [candidates,
// tasks]: folds, reads and scores as a server does, in the engine's precision.
// REQUIRES: the request can be asked of the engine's model.
std::vector<float> GoldenScores(const model::v1::GoldenCase& golden,
                                const Engine& engine, EngineScratch& scratch);

// Asks all of the bundle's, in a millisecond or a few. FAILED_PRECONDITION names
// the case, the candidate and the task that are furthest off, what was expected
// and what was found; that something is not a number is further than anything
// else.
absl::StatusOr<GoldenReplay> ReplayGoldenRequests(const Engine& engine);

}  // namespace qlarank

#endif  // QLARANK_MODEL_GOLDEN_REPLAY_H_
