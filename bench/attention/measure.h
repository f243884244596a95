// The measurements of the attention benchmark, one core each.
#ifndef QLARANK_BENCH_ATTENTION_MEASURE_H_
#define QLARANK_BENCH_ATTENTION_MEASURE_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "bench/attention/leakage.h"
#include "bench/attention/mechanism.h"

namespace qlarank::bench::attention {

inline constexpr size_t kCandidates = 1'000;

// What serving one user costs when their history is so long.
struct Cost {
  std::string mechanism;
  size_t history;    // the round number that is asked about
  size_t events;     // the events that the user really has
  double rank_ms;    // one request of kCandidates
  double append_us;  // one event, appended alone; 0: not measured
  uint64_t bytes_kept;
};

using Report = std::function<void(const Cost&)>;

// Histories of 128, 256, ... 16,384, and 1,000,000 for mechanisms whose cost
// per event does not grow with the history.
void MeasureKind(const MechanismKind& kind, const Report& report);

// Softmax that keeps nothing and reads the whole history anew in every
// request, in tiles: what is done where no cache of keys is kept.
void MeasureRecomputedSoftmax(const Report& report);

// The engine itself (model/engine.h) on a model of the same shape, to hold the
// benchmark's QLA to: it also makes tokens and user vectors and has a head.
void MeasureServedEngine(const Report& report);

// Every mechanism's name and leakage, and at the end that of softmax over
// history and candidates without a candidate mask.
std::vector<std::pair<std::string, Leakage>> LeakageOfAll();

}  // namespace qlarank::bench::attention

#endif  // QLARANK_BENCH_ATTENTION_MEASURE_H_
