// Medians of processor time.
#ifndef QLARANK_BENCH_ATTENTION_STOPWATCH_H_
#define QLARANK_BENCH_ATTENTION_STOPWATCH_H_

#include <time.h>

#include <algorithm>
#include <vector>

namespace qlarank::bench::attention {

// Seconds that this thread has computed.
inline double ThreadSeconds() {
  timespec now;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return now.tv_sec + now.tv_nsec * 1e-9;
}

inline double Median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const size_t middle = values.size() / 2;
  return values.size() % 2 == 1 ? values[middle]
                                : (values[middle - 1] + values[middle]) / 2;
}

// Median seconds of run(): at least `min_repeats` times and until `min_seconds`
// are spent, after one run that is not counted.
template <typename Run>
double MedianSeconds(size_t min_repeats, double min_seconds, Run run) {
  run();
  std::vector<double> seconds;
  double spent = 0;
  while (seconds.size() < min_repeats || spent < min_seconds) {
    const double begin = ThreadSeconds();
    run();
    seconds.push_back(ThreadSeconds() - begin);
    spent += seconds.back();
  }
  return Median(std::move(seconds));
}

}  // namespace qlarank::bench::attention

#endif  // QLARANK_BENCH_ATTENTION_STOPWATCH_H_
