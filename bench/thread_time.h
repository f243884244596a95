// Processor time of the calling thread: what a loop is timed by whose thread
// others may stop.
#ifndef QLARANK_BENCH_THREAD_TIME_H_
#define QLARANK_BENCH_THREAD_TIME_H_

#include <time.h>

#include "absl/time/time.h"

namespace qlarank::bench {

inline absl::Duration ThreadTime() {
  timespec now;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return absl::DurationFromTimespec(now);
}

}  // namespace qlarank::bench

#endif  // QLARANK_BENCH_THREAD_TIME_H_
