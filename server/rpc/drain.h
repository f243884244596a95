// Whether requests are still taken, for all services at once.
//
// A unary call asks draining(). A stream, which might never end by itself,
// registers to be told. Thread-safe.
#ifndef QLARANK_SERVER_RPC_DRAIN_H_
#define QLARANK_SERVER_RPC_DRAIN_H_

#include <atomic>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_set.h"
#include "absl/synchronization/mutex.h"

namespace qlarank {

class Drain {
 public:
  // Told once, under the drain's lock: must neither block nor call the drain.
  class Listener {
   public:
    virtual void OnDrain() = 0;

   protected:
    ~Listener() = default;
  };

  bool draining() const { return draining_.load(std::memory_order_relaxed); }

  // From now on nothing new is taken.
  void Begin() ABSL_LOCKS_EXCLUDED(mutex_) {
    absl::MutexLock lock(&mutex_);
    draining_ = true;
    for (Listener* listener : listeners_) listener->OnDrain();
    listeners_.clear();
  }

  // Returns false, without adding, when draining has begun.
  bool Add(Listener& listener) ABSL_LOCKS_EXCLUDED(mutex_) {
    absl::MutexLock lock(&mutex_);
    if (draining_) return false;
    listeners_.insert(&listener);
    return true;
  }

  // After this the listener is not called any more.
  void Remove(Listener& listener) ABSL_LOCKS_EXCLUDED(mutex_) {
    absl::MutexLock lock(&mutex_);
    listeners_.erase(&listener);
  }

 private:
  std::atomic<bool> draining_{false};
  absl::Mutex mutex_;
  absl::flat_hash_set<Listener*> listeners_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace qlarank

#endif  // QLARANK_SERVER_RPC_DRAIN_H_
