// Which part of the time that the workers want a processor they have one: 1 on
// a quiet machine, half of it beside as many busy processes as processors.
//
//   share.Observe(now, wanted, had);      // a worker, now and then
//   ... = processor_time / (workers * share.At(now));
//
// It looks back some tens of milliseconds, as far as requests are planned ahead
// and some slices of the operating system, and forgets by time, not by what is
// done: a phase in which next to nothing was done is over soon after its end,
// whether or not anything runs that would show it.
//
// Thread-safe. Takes a lock of its own.
#ifndef QLARANK_SERVER_WORK_PROCESSOR_SHARE_H_
#define QLARANK_SERVER_WORK_PROCESSOR_SHARE_H_

#include <algorithm>
#include <cmath>
#include <cstddef>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"

namespace qlarank {

class ProcessorShare {
 public:
  // What happened so long ago counts for 1/e.
  static constexpr absl::Duration kMemory = absl::Milliseconds(50);
  // With nothing to go by a worker is taken to have a processor; it is as if
  // each had been seen to have one for so long. So no share is ever below 4 %:
  // some request is always let in.
  static constexpr absl::Duration kTrust = absl::Milliseconds(2);

  explicit ProcessorShare(size_t num_workers)
      : trust_ms_(absl::ToDoubleMilliseconds(kTrust) * num_workers) {}

  // Until `now`, a worker had something to do for as long as `wanted`, and a
  // processor for `had` of it.
  void Observe(absl::Duration now, absl::Duration wanted, absl::Duration had)
      ABSL_LOCKS_EXCLUDED(mutex_) {
    if (wanted <= absl::ZeroDuration() || had < absl::ZeroDuration()) return;
    const double share = std::min(1.0, absl::FDivDuration(had, wanted));
    // Of a long time, what has not faded already.
    const double weight_ms =
        absl::ToDoubleMilliseconds(kMemory) * (1 - Left(wanted));
    absl::MutexLock lock(&mutex_);
    const double left = Left(now - last_);
    last_ = std::max(last_, now);
    wanted_ms_ = wanted_ms_ * left + weight_ms;
    had_ms_ = had_ms_ * left + weight_ms * share;
  }

  // Above 0, at most 1.
  double At(absl::Duration now) const ABSL_LOCKS_EXCLUDED(mutex_) {
    absl::MutexLock lock(&mutex_);
    const double left = Left(now - last_);
    return (had_ms_ * left + trust_ms_) / (wanted_ms_ * left + trust_ms_);
  }

 private:
  // What is left of something after `age`.
  static double Left(absl::Duration age) {
    return std::exp(-std::max(0.0, absl::FDivDuration(age, kMemory)));
  }

  const double trust_ms_;
  mutable absl::Mutex mutex_;
  absl::Duration last_ ABSL_GUARDED_BY(mutex_);
  double wanted_ms_ ABSL_GUARDED_BY(mutex_) = 0;
  double had_ms_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace qlarank

#endif  // QLARANK_SERVER_WORK_PROCESSOR_SHARE_H_
