#include "server/ops/lifecycle.h"

#include <utility>

namespace qlarank {

absl::Status ShutDownInOrder(const LifecycleOptions& options,
                             const ShutdownSteps& steps) {
  steps.set_not_serving();
  steps.sleep(options.drain_delay);
  steps.stop_serving(options.shutdown_timeout);
  return steps.flush();
}

StopRequest::StopRequest(std::function<void()> exit_now)
    : exit_now_(std::move(exit_now)) {}

void StopRequest::Request() {
  bool again;
  {
    absl::MutexLock lock(&mutex_);
    again = std::exchange(requested_, true);
  }
  if (again) exit_now_();
}

bool StopRequest::requested() const {
  absl::MutexLock lock(&mutex_);
  return requested_;
}

void StopRequest::Wait() const {
  absl::MutexLock lock(&mutex_);
  mutex_.Await(absl::Condition(&requested_));
}

}  // namespace qlarank
