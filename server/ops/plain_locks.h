// Makes a lock cost what a lock costs.
#ifndef QLARANK_SERVER_OPS_PLAIN_LOCKS_H_
#define QLARANK_SERVER_OPS_PLAIN_LOCKS_H_

#include "absl/synchronization/mutex.h"

namespace qlarank {

// Debian's Abseil looks for deadlocks whenever a Mutex is locked, gRPC's own
// too, under one lock of the whole process: a thread that is put aside while it
// has that one holds up all others. Call first in main(); a build with
// assertions goes on looking.
inline void LockWithoutLookingForDeadlocks() {
#ifdef NDEBUG
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
#endif
}

}  // namespace qlarank

#endif  // QLARANK_SERVER_OPS_PLAIN_LOCKS_H_
