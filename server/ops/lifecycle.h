// How the server ends. In order, so that nothing accepted is lost and no caller
// meets a closed door it was not warned of:
//
//   not serving  ->  drain_delay  ->  stop serving (deadline)  ->  flush
//
// First health and /readyz say no, while requests are still taken. After
// drain_delay load balancers have noticed: new requests are refused, and those
// in flight get shutdown_timeout. Then what is in memory is written.
//
// A second request to stop ends the process at once: durable is what was
// acknowledged, and the rest is rebuilt from the log.
#ifndef QLARANK_SERVER_OPS_LIFECYCLE_H_
#define QLARANK_SERVER_OPS_LIFECYCLE_H_

#include <functional>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "config/server_options.h"

namespace qlarank {

// What the steps do; called in this order, each once, on one thread.
struct ShutdownSteps {
  std::function<void()> set_not_serving;
  std::function<void(absl::Duration)> sleep;
  // Refuses new requests; returns when those in flight are done or were
  // cancelled at the end of `timeout`.
  std::function<void(absl::Duration timeout)> stop_serving;
  std::function<absl::Status()> flush;
};

// Runs the steps; blocks. Returns what `flush` returned.
absl::Status ShutDownInOrder(const LifecycleOptions& options,
                             const ShutdownSteps& steps);

// Where a wish to stop meets whoever acts on it. Thread-safe.
class StopRequest {
 public:
  // `exit_now` is called by the second Request and those after it.
  explicit StopRequest(std::function<void()> exit_now);

  // The first call wakes Wait.
  void Request() ABSL_LOCKS_EXCLUDED(mutex_);

  bool requested() const ABSL_LOCKS_EXCLUDED(mutex_);

  // Blocks until Request has been called.
  void Wait() const ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  const std::function<void()> exit_now_;
  mutable absl::Mutex mutex_;
  bool requested_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace qlarank

#endif  // QLARANK_SERVER_OPS_LIFECYCLE_H_
