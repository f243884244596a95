#include "server/pipeline/flood_patience.h"

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

bool FloodPatience::Refused(absl::Time now) {
  static thread_local const pid_t self = gettid();
  absl::MutexLock lock(&mutex_);
  const absl::Time last = std::exchange(last_refusal_, now);
  if (now - last >= kCalm) End();
  flood_ = flood_ || now - last <= kFlood;
  if (!flood_) return false;
  const bool is_patient =
      std::find(patient_.begin(), patient_.end(), self) != patient_.end();
  if (!is_patient && sched_getscheduler(self) == SCHED_OTHER &&
      SetPolicy(self, SCHED_BATCH)) {
    patient_.push_back(self);
  }
  return true;
}

bool FloodPatience::Passed(absl::Time now) {
  absl::MutexLock lock(&mutex_);
  if (now - last_refusal_ >= kCalm) End();
  return flood_;
}

void FloodPatience::End() {
  for (const pid_t thread : patient_) SetPolicy(thread, SCHED_OTHER);
  patient_.clear();
  flood_ = false;
}

}  // namespace qlarank
