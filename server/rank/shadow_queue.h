// Requests that were answered and are to be scored again by another version
// (server/compare/shadow_scorer.h).
//
// Bounded: what there is no room for is dropped and counted, so that whoever
// answers requests never waits. Thread-safe.
#ifndef QLARANK_SERVER_RANK_SHADOW_QUEUE_H_
#define QLARANK_SERVER_RANK_SHADOW_QUEUE_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "qlarank/v1/request_log.pb.h"
#include "server/metrics/shadow_metrics.h"

namespace qlarank {

class ShadowQueue {
 public:
  // What waits and what is being scored may take together, in memory.
  static constexpr size_t kMaxBytes = size_t{8} << 20;

  // A request with its answer, as the request log has them.
  struct Task {
    v1::LoggedRequest record;
    uint64_t version = 0;  // that scores it, of the same model
    size_t bytes = 0;
  };
  using TaskPtr = std::unique_ptr<Task>;

  // `metrics` must outlive this.
  explicit ShadowQueue(ShadowMetrics& metrics, size_t max_bytes = kMaxBytes)
      : metrics_(metrics), max_bytes_(max_bytes) {}

  // A copy, for which there is room until it is gone; or null, and that is
  // counted. `facts` is the rest of the record.
  TaskPtr Copy(v1::LoggedRequest facts, const v1::RankRequest& request,
               const v1::RankResponse& response, uint64_t version)
      ABSL_LOCKS_EXCLUDED(mutex_) {
    const size_t bytes = facts.SpaceUsedLong() + request.SpaceUsedLong() +
                         response.SpaceUsedLong();
    if (!Reserve(bytes)) {
      metrics_.CountRequest(
          {response.model_name(), response.model_version(), version},
          "queue_full");
      return nullptr;
    }
    auto task = std::make_unique<Task>(Task{std::move(facts), version, bytes});
    *task->record.mutable_request() = request;
    *task->record.mutable_response() = response;
    return task;
  }

  // After the answer is on its way.
  void Put(TaskPtr task) ABSL_LOCKS_EXCLUDED(mutex_) {
    absl::MutexLock lock(&mutex_);
    tasks_.push_back(std::move(task));
  }

  // Waits for one, which takes its room until it is Done; null once it is
  // stopped.
  TaskPtr Take() ABSL_LOCKS_EXCLUDED(mutex_) {
    const auto ready = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
      return stopped_ || !tasks_.empty();
    };
    absl::MutexLock lock(&mutex_, absl::Condition(&ready));
    if (stopped_) return nullptr;
    TaskPtr task = std::move(tasks_.front());
    tasks_.pop_front();
    return task;
  }
  void Done(const Task& task) ABSL_LOCKS_EXCLUDED(mutex_) {
    absl::MutexLock lock(&mutex_);
    bytes_ -= task.bytes;
  }

  bool empty() const ABSL_LOCKS_EXCLUDED(mutex_) {
    absl::MutexLock lock(&mutex_);
    return tasks_.empty();
  }
  void Stop() ABSL_LOCKS_EXCLUDED(mutex_) {
    absl::MutexLock lock(&mutex_);
    stopped_ = true;
  }

 private:
  bool Reserve(size_t bytes) ABSL_LOCKS_EXCLUDED(mutex_) {
    absl::MutexLock lock(&mutex_);
    if (bytes_ + bytes > max_bytes_) return false;
    bytes_ += bytes;
    return true;
  }

  ShadowMetrics& metrics_;
  const size_t max_bytes_;
  mutable absl::Mutex mutex_;
  std::deque<TaskPtr> tasks_ ABSL_GUARDED_BY(mutex_);
  size_t bytes_ ABSL_GUARDED_BY(mutex_) = 0;
  bool stopped_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace qlarank

#endif  // QLARANK_SERVER_RANK_SHADOW_QUEUE_H_
