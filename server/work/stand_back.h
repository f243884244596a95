// Work that nobody waits for, on a thread that stands back behind all others.
#ifndef QLARANK_SERVER_WORK_STAND_BACK_H_
#define QLARANK_SERVER_WORK_STAND_BACK_H_

#include "absl/functional/function_ref.h"

namespace qlarank {

// Runs `work` on a thread of its own, and returns when it is done. While other
// threads of the machine have something to do, it gets a fiftieth of what one of
// them gets. So it must hold no lock that whoever serves may wait for: it would
// hold it for long.
void RunStandingBack(absl::FunctionRef<void()> work);

}  // namespace qlarank

#endif  // QLARANK_SERVER_WORK_STAND_BACK_H_
