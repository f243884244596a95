// For threads that compute for long: lets those that answer go first.
//
//   GiveWay();                 // once
//   while (...) {
//     ...                      // some 100 us of work
//     StepAside();
//   }
#ifndef QLARANK_SERVER_PIPELINE_GIVE_WAY_H_
#define QLARANK_SERVER_PIPELINE_GIVE_WAY_H_

#include <sched.h>
#include <sys/resource.h>
#include <unistd.h>

namespace qlarank {

// Makes the calling thread nicer than the rest of the process, by 10 steps.
// With as many workers as processors, one of gRPC's threads that has a request
// or a reply in hand for some microseconds would else wait for a worker to use
// up its time slice: 4 ms, more than ten tiles. Every thread that computes
// should give way alike, or those that do not leave little to those that do.
// Best effort.
inline void GiveWay() {
  constexpr int kSteps = 10;
  const auto self = static_cast<id_t>(gettid());
  setpriority(PRIO_PROCESS, self, getpriority(PRIO_PROCESS, self) + kSteps);
}

// Lets a thread that is ready to run do so now. However nice this one is, Linux
// does not always interrupt it for one that wakes up: not for one that has just
// had some microseconds more than its share (EEVDF, the scheduler of Linux
// since 6.6), as gRPC's threads have that wake each other up. That one would
// wait for the next tick, 4 ms apart at 250 Hz. Costs a system call when nobody
// waits.
inline void StepAside() { sched_yield(); }

}  // namespace qlarank

#endif  // QLARANK_SERVER_PIPELINE_GIVE_WAY_H_
