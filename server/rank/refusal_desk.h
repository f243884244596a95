// Where refused requests wait for their answer.
//
// A caller who comes back at once, as many do, spends the server's processors
// on being refused again, hundreds of times for each request that is ranked. So
// a refusal is given not before another try makes sense, or a part of the
// caller's time is gone. And it is given together with others: most of what one
// costs is waking up for it.
//
//   desk.Hold(RefusalDesk::HoldFor(hint, left), bytes, [...] { ... });
//
// Bounded: what finds no room is refused at once.
//
// Thread-safe.
#ifndef QLARANK_SERVER_RANK_REFUSAL_DESK_H_
#define QLARANK_SERVER_RANK_REFUSAL_DESK_H_

#include <cstddef>
#include <map>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/functional/any_invocable.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "prometheus/gauge.h"

namespace qlarank {

class RefusalDesk {
 public:
  static constexpr size_t kMaxHeld = 1024;
  static constexpr size_t kMaxBytes = size_t{16} << 20;
  // Refusals of so long are given together.
  static constexpr absl::Duration kTick = absl::Milliseconds(5);
  // The most of a caller's time, of which so much stays to do without an
  // answer, unless that is more than half of it; and the most in all.
  static constexpr double kMostOfTimeLeft = 0.8;
  static constexpr absl::Duration kLeftToCaller = absl::Milliseconds(50);
  static constexpr absl::Duration kLongest = absl::Milliseconds(500);

  using End = absl::AnyInvocable<void()>;

  // `held` shows how many there are; it must outlive the desk.
  explicit RefusalDesk(prometheus::Gauge& held);
  // Ends what is held.
  ~RefusalDesk();
  RefusalDesk(const RefusalDesk&) = delete;
  RefusalDesk& operator=(const RefusalDesk&) = delete;

  // For how long to hold the refusal of a request whose deadline is in `left`
  // and that may be tried again after `hint`.
  static absl::Duration HoldFor(absl::Duration hint, absl::Duration left);

  // Calls `end` once, after `time` or up to a tick later, on a thread of the
  // desk; on this one, at once, when there is no room. `bytes` is what the
  // request takes meanwhile. Does not block.
  void Hold(absl::Duration time, size_t bytes, End end)
      ABSL_LOCKS_EXCLUDED(mutex_);

  // How many are held.
  size_t size() const ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  struct Held {
    size_t bytes;
    End end;
  };
  // By when they are due, by the steady clock.
  using HeldByTime = std::multimap<absl::Duration, Held>;

  void Loop() ABSL_LOCKS_EXCLUDED(mutex_);
  HeldByTime TakeDue() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  prometheus::Gauge& gauge_;
  mutable absl::Mutex mutex_;
  HeldByTime held_ ABSL_GUARDED_BY(mutex_);
  size_t bytes_ ABSL_GUARDED_BY(mutex_) = 0;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;  // last: it uses the others
};

}  // namespace qlarank

#endif  // QLARANK_SERVER_RANK_REFUSAL_DESK_H_
