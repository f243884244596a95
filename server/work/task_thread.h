// A thread for what blocks and is asked for now and then, with a bounded queue
// before it. Thread-safe.
#ifndef QLARANK_SERVER_WORK_TASK_THREAD_H_
#define QLARANK_SERVER_WORK_TASK_THREAD_H_

#include <deque>
#include <memory>
#include <thread>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"

namespace qlarank {

class TaskThread {
 public:
  // What is left to do when a task no longer counts: a reply, whose receiver
  // may at once ask for the next.
  using Then = absl::AnyInvocable<void()>;
  using Task = absl::AnyInvocable<Then()>;

  // At most `max_tasks` at work and waiting together.
  explicit TaskThread(size_t max_tasks)
      : max_tasks_(max_tasks), thread_([this] { Loop(); }) {}
  // Runs what is queued, then stops.
  ~TaskThread() {
    {
      absl::MutexLock lock(&mutex_);
      stopping_ = true;
    }
    thread_.join();
  }

  // Queues a task, or returns false, without it, when there are too many.
  bool Submit(Task task) ABSL_LOCKS_EXCLUDED(mutex_) {
    absl::MutexLock lock(&mutex_);
    if (tasks_.size() >= max_tasks_) return false;
    tasks_.push_back(std::move(task));
    return true;
  }

 private:
  void Loop() ABSL_LOCKS_EXCLUDED(mutex_) {
    const auto ready = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
      return !tasks_.empty() || stopping_;
    };
    absl::MutexLock lock(&mutex_);
    while (true) {
      mutex_.Await(absl::Condition(&ready));
      if (tasks_.empty()) return;
      Task& task = tasks_.front();  // counts until it is done
      mutex_.Unlock();
      Then then = task();
      mutex_.Lock();
      tasks_.pop_front();
      mutex_.Unlock();
      then();
      mutex_.Lock();
    }
  }

  const size_t max_tasks_;
  absl::Mutex mutex_;
  std::deque<Task> tasks_ ABSL_GUARDED_BY(mutex_);  // the first is at work
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

// Runs `work` on `thread` and hands its status to `done`, once: RESOURCE_EXHAUSTED
// at once, on this thread, when too much waits.
inline void Submit(TaskThread& thread, absl::AnyInvocable<absl::Status()> work,
                   absl::AnyInvocable<void(absl::Status)> done) {
  // Shared, because a task that is refused is gone with its `done`.
  auto shared_done = std::make_shared<absl::AnyInvocable<void(absl::Status)>>(
      std::move(done));
  const bool taken =
      thread.Submit([work = std::move(work), shared_done]() mutable {
        return [status = work(), shared_done]() mutable {
          (*shared_done)(std::move(status));
        };
      });
  if (!taken) {
    (*shared_done)(absl::ResourceExhaustedError(
        "the server is busy with an earlier request of this kind; try again "
        "later"));
  }
}

}  // namespace qlarank

#endif  // QLARANK_SERVER_WORK_TASK_THREAD_H_
