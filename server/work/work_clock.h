// The two clocks that say how a worker fares: the time that passes, and the
// part of it in which the thread had a processor. What work costs is read from
// the second, so that a busy neighbour does not make it look dearer; how much
// of a processor there is (processor_share.h) from both.
#ifndef QLARANK_SERVER_WORK_WORK_CLOCK_H_
#define QLARANK_SERVER_WORK_WORK_CLOCK_H_

#include <time.h>

#include <functional>

#include "absl/time/time.h"
#include "server/work/steady_now.h"

namespace qlarank {

// For how long the calling thread has had a processor, since it began. A system
// call of some 0.3 us: not for every tile.
inline absl::Duration ThreadProcessorNow() {
  timespec now;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return absl::DurationFromTimespec(now);
}

// Tests put their own in.
struct WorkClock {
  std::function<absl::Duration()> steady = SteadyNow;
  std::function<absl::Duration()> processor = ThreadProcessorNow;
};

}  // namespace qlarank

#endif  // QLARANK_SERVER_WORK_WORK_CLOCK_H_
