// PRECISION_AUTO: the fastest precision of this processor in which the model
// scores as it does in float32.
#ifndef QLARANK_SERVER_MODELS_PRECISION_CHOICE_H_
#define QLARANK_SERVER_MODELS_PRECISION_CHOICE_H_

#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "model/engine.h"

namespace qlarank {

// How far the scores of `engine` are from those of `exact`, which is the same
// model in float32: the root mean square of the differences over the standard
// deviation of exact scores, of one task after another the largest. Of the same
// made-up users and candidates whenever it is asked: 4 users with 64 events,
// 512 candidates each. NaN where a score is.
double ScoreError(const Engine& engine, const Engine& exact);

// The most that PRECISION_AUTO accepts. The shipped grocery model is .002 off
// in bf16, .006 in int8 and .012 in 7 bits, where its hit@10 moves by .2 %.
inline constexpr double kMostScoreError = .02;

struct PrecisionChoice {
  std::unique_ptr<const Engine> engine;
  std::string reason;  // for the log
};

// Tries PrecisionsBySpeed() in turn; `make` loads the model in one of them.
// Errors are those of `make`.
absl::StatusOr<PrecisionChoice> ChoosePrecision(
    const std::function<absl::StatusOr<std::unique_ptr<const Engine>>(
        Precision)>& make);

}  // namespace qlarank

#endif  // QLARANK_SERVER_MODELS_PRECISION_CHOICE_H_
