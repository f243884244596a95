// The time that says whether an event is from the future.
//
// An event refused for that is lost to its sender, so a wall clock that jumps
// back (a correction, a virtual machine that was restored) must not have right
// events refused. So time goes on here, at the pace of the steady clock, from
// the latest that the wall clock said, and believes an earlier one only once it
// has stood for an hour.
//
//   clock.Now(absl::Now(), SteadyNow())
//
// Thread-safe.
#ifndef QLARANK_SERVER_INGEST_ADMISSION_CLOCK_H_
#define QLARANK_SERVER_INGEST_ADMISSION_CLOCK_H_

#include <optional>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"

namespace qlarank {

class AdmissionClock {
 public:
  static constexpr absl::Duration kUntilBelieved = absl::Hours(1);

  // The time, given what the wall clock and the steady one say.
  absl::Time Now(absl::Time wall, absl::Duration steady) {
    const absl::Time epoch = wall - steady;
    absl::MutexLock lock(&mutex_);
    if (!epoch_.has_value() || epoch >= *epoch_ ||
        steady - confirmed_ >= kUntilBelieved) {
      epoch_ = epoch;
      confirmed_ = steady;
    }
    return *epoch_ + steady;
  }

 private:
  absl::Mutex mutex_;
  // When the steady clock was 0, by the wall clock, and when it last said so.
  std::optional<absl::Time> epoch_ ABSL_GUARDED_BY(mutex_);
  absl::Duration confirmed_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace qlarank

#endif  // QLARANK_SERVER_INGEST_ADMISSION_CLOCK_H_
