// Does something again and again, on a thread of its own.
#ifndef QLARANK_SERVER_WORK_PERIODIC_H_
#define QLARANK_SERVER_WORK_PERIODIC_H_

#include <functional>
#include <thread>
#include <utility>

#include "absl/synchronization/notification.h"
#include "absl/time/time.h"

namespace qlarank {

class Periodic {
 public:
  // At once, then with `pause` between two times.
  Periodic(absl::Duration pause, std::function<void()> act)
      : thread_([this, pause, act = std::move(act)] {
          do {
            act();
          } while (!stop_.WaitForNotificationWithTimeout(pause));
        }) {}
  // Returns when it has ended.
  ~Periodic() {
    stop_.Notify();
    thread_.join();
  }

 private:
  absl::Notification stop_;
  std::thread thread_;
};

}  // namespace qlarank

#endif  // QLARANK_SERVER_WORK_PERIODIC_H_
