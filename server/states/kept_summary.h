// The summary of one state: made by whoever asks for it first, and kept with
// the state for as long as that is.
//
// Two who ask at once may both make it; the first one made stays. Thread-safe.
#ifndef QLARANK_SERVER_STATES_KEPT_SUMMARY_H_
#define QLARANK_SERVER_STATES_KEPT_SUMMARY_H_

#include <memory>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "model/user_summary.h"

namespace qlarank {

class KeptSummary {
 public:
  // Null until it was made.
  std::shared_ptr<const UserSummary> Get() const ABSL_LOCKS_EXCLUDED(mutex_) {
    absl::MutexLock lock(&mutex_);
    return summary_;
  }

  // Returns the one that is kept.
  std::shared_ptr<const UserSummary> Keep(
      std::shared_ptr<const UserSummary> made) ABSL_LOCKS_EXCLUDED(mutex_) {
    absl::MutexLock lock(&mutex_);
    if (summary_ == nullptr) summary_ = std::move(made);
    return summary_;
  }

 private:
  mutable absl::Mutex mutex_;
  std::shared_ptr<const UserSummary> summary_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace qlarank

#endif  // QLARANK_SERVER_STATES_KEPT_SUMMARY_H_
