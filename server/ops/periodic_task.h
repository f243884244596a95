// Does something again and again on a thread of its own, until it is destroyed.
#ifndef QLARANK_SERVER_OPS_PERIODIC_TASK_H_
#define QLARANK_SERVER_OPS_PERIODIC_TASK_H_

#include <functional>
#include <thread>
#include <utility>

#include "absl/synchronization/notification.h"
#include "absl/time/time.h"

namespace qlarank {

class PeriodicTask {
 public:
  // The first time after `interval`.
  PeriodicTask(absl::Duration interval, std::function<void()> task)
      : thread_([this, interval, task = std::move(task)] {
          while (!stop_.WaitForNotificationWithTimeout(interval)) task();
        }) {}

  // Waits for a task that is being done.
  ~PeriodicTask() {
    stop_.Notify();
    thread_.join();
  }

 private:
  absl::Notification stop_;
  std::thread thread_;  // last: it uses what is above
};

}  // namespace qlarank

#endif  // QLARANK_SERVER_OPS_PERIODIC_TASK_H_
