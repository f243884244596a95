// The time for measuring how long something takes: it never jumps, and says
// nothing of the date.
#ifndef QLARANK_SERVER_WORK_STEADY_NOW_H_
#define QLARANK_SERVER_WORK_STEADY_NOW_H_

#include <chrono>

#include "absl/time/time.h"

namespace qlarank {

// Since some moment before.
inline absl::Duration SteadyNow() {
  return absl::FromChrono(std::chrono::steady_clock::now().time_since_epoch());
}

}  // namespace qlarank

#endif  // QLARANK_SERVER_WORK_STEADY_NOW_H_
