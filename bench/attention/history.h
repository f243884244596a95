// A user's history as a stream of random tokens and growing times.
#ifndef QLARANK_BENCH_ATTENTION_HISTORY_H_
#define QLARANK_BENCH_ATTENTION_HISTORY_H_

#include <cstddef>
#include <cstdint>
#include <random>
#include <vector>

#include "bench/attention/mechanism.h"

namespace qlarank::bench::attention {

// [count, d], normally distributed.
std::vector<float> RandomTokens(size_t count, uint32_t seed);

struct Events {
  std::vector<float> tokens;  // [times.size(), d]
  std::vector<EventTime> times;
};

class History {
 public:
  explicit History(uint32_t seed);

  // The next `count` events.
  Events Next(size_t count);
  // When the next event would happen: a time for requests.
  int64_t now_us() const { return now_us_; }

 private:
  std::mt19937 random_;
  std::vector<float> items_;  // tokens that events draw from
  int64_t now_us_ = 0;
};

}  // namespace qlarank::bench::attention

#endif  // QLARANK_BENCH_ATTENTION_HISTORY_H_
