// Room for so much at once, shared by clients so that none of them can take it
// all: one may hold at most three times what is free. So a client alone can
// have three quarters of it, two have three sevenths each, and a newcomer
// always finds some (dynamic thresholds: Choudhury and Hahne, INFOCOM 1996).
//
// Thread-safe. Bounded by what it counts: a client who holds nothing is
// forgotten.
#ifndef QLARANK_SERVER_WORK_FAIR_QUOTA_H_
#define QLARANK_SERVER_WORK_FAIR_QUOTA_H_

#include <cstddef>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"

namespace qlarank {

class FairQuota {
 public:
  explicit FairQuota(size_t capacity) : capacity_(capacity) {}

  // Takes `amount` for the client, or returns false when that is more than is
  // free or than their share. What is larger than the whole quota is taken when
  // nothing else is held.
  bool TryTake(absl::string_view client, size_t amount = 1) {
    absl::MutexLock lock(&mutex_);
    if (total_ > 0 && (total_ + amount > capacity_ ||
                       Held(client) + amount > kShare * (capacity_ - total_))) {
      return false;
    }
    Add(client, amount);
    return true;
  }

  // The same, but a client who holds nothing may add more than is free, unless
  // nothing is: for amounts that might never find as much.
  bool TryTakeOrFirst(absl::string_view client, size_t amount) {
    absl::MutexLock lock(&mutex_);
    const size_t held = Held(client);
    const bool fits = total_ + amount <= capacity_ &&
                      held + amount <= kShare * (capacity_ - total_);
    if (total_ > 0 && !fits && (held > 0 || total_ >= capacity_)) return false;
    Add(client, amount);
    return true;
  }

  // Gives back what was taken.
  void Return(absl::string_view client, size_t amount = 1) {
    absl::MutexLock lock(&mutex_);
    total_ -= amount;
    const auto held = held_.find(client);
    if ((held->second -= amount) == 0) held_.erase(held);
  }

  // Whether the client holds their share already.
  bool full(absl::string_view client) const {
    absl::MutexLock lock(&mutex_);
    return total_ >= capacity_ || Held(client) >= kShare * (capacity_ - total_);
  }

  size_t capacity() const { return capacity_; }

 private:
  static constexpr size_t kShare = 3;

  size_t Held(absl::string_view client) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    const auto held = held_.find(client);
    return held == held_.end() ? 0 : held->second;
  }
  void Add(absl::string_view client, size_t amount)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (amount == 0) return;
    total_ += amount;
    held_[client] += amount;
  }

  const size_t capacity_;
  mutable absl::Mutex mutex_;
  size_t total_ ABSL_GUARDED_BY(mutex_) = 0;
  absl::flat_hash_map<std::string, size_t> held_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace qlarank

#endif  // QLARANK_SERVER_WORK_FAIR_QUOTA_H_
