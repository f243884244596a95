// How long a request was not in the engine: the time in which none of its tiles
// was being scored. On an idle server that is what the server itself costs;
// under load it holds the waiting too.
//
// Thread-safe. Takes a lock of its own: once a tile is fine.
#ifndef QLARANK_SERVER_RANK_OUTSIDE_CLOCK_H_
#define QLARANK_SERVER_RANK_OUTSIDE_CLOCK_H_

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"

namespace qlarank {

class OutsideClock {
 public:
  // Outside from `begin` on.
  explicit OutsideClock(absl::Time begin) : left_(begin) {}

  // Something of the request enters the engine, or leaves it.
  void Enter(absl::Time now) {
    absl::MutexLock lock(&mutex_);
    if (inside_++ == 0) outside_ += now - left_;
  }
  void Leave(absl::Time now) {
    absl::MutexLock lock(&mutex_);
    if (--inside_ == 0) left_ = now;
  }

  // REQUIRES: all that entered has left.
  absl::Duration Total(absl::Time now) const {
    absl::MutexLock lock(&mutex_);
    return outside_ + (now - left_);
  }

 private:
  mutable absl::Mutex mutex_;
  int inside_ ABSL_GUARDED_BY(mutex_) = 0;
  absl::Time left_ ABSL_GUARDED_BY(mutex_);  // when the last one left
  absl::Duration outside_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace qlarank

#endif  // QLARANK_SERVER_RANK_OUTSIDE_CLOCK_H_
