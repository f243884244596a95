#include "server/rpc/flood_patience.h"

#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

namespace qlarank {
namespace {

bool SetPolicy(pid_t thread, int policy) {
  const sched_param parameters = {};
  return sched_setscheduler(thread, policy, &parameters) == 0;
}

}  // namespace

void FloodPatience::Refused(absl::Time now) {
  static thread_local const pid_t self = gettid();
  absl::MutexLock lock(&mutex_);
  const absl::Time last = std::exchange(last_refusal_, now);
  if (now - last > kFlood) return;
  const bool is_patient =
      std::find(patient_.begin(), patient_.end(), self) != patient_.end();
  if (is_patient || sched_getscheduler(self) != SCHED_OTHER) return;
  if (SetPolicy(self, SCHED_BATCH)) patient_.push_back(self);
}

void FloodPatience::Admitted(absl::Time now) {
  absl::MutexLock lock(&mutex_);
  if (patient_.empty() || now - last_refusal_ < kCalm) return;
  for (const pid_t thread : patient_) SetPolicy(thread, SCHED_OTHER);
  patient_.clear();
}

}  // namespace qlarank
