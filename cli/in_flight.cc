#include "cli/in_flight.h"

#include <algorithm>
#include <optional>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"

namespace qlarank {
namespace {

class Calls {
 public:
  explicit Calls(size_t count) : count_(count) {}

  // Nothing when there are no more.
  std::optional<size_t> Next() {
    absl::MutexLock lock(&mutex_);
    if (!error_.ok() || next_ == count_) return std::nullopt;
    return next_++;
  }

  void Finished(const absl::Status& status) {
    absl::MutexLock lock(&mutex_);
    error_.Update(status);
  }

  absl::Status error() const {
    absl::MutexLock lock(&mutex_);
    return error_;
  }

 private:
  const size_t count_;
  mutable absl::Mutex mutex_;
  absl::Status error_ ABSL_GUARDED_BY(mutex_);
  size_t next_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace

absl::Status CallInFlight(
    size_t calls, size_t in_flight,
    absl::FunctionRef<absl::Status(size_t call, size_t thread)> call) {
  Calls todo(calls);
  std::vector<std::jthread> threads;
  for (size_t t = 0; t < std::max<size_t>(1, in_flight); ++t) {
    threads.emplace_back([&todo, call, t] {
      while (std::optional<size_t> next = todo.Next()) {
        todo.Finished(call(*next, t));
      }
    });
  }
  threads.clear();  // joins
  return todo.error();
}

}  // namespace qlarank
