#include "server/models/not_finite.h"

#include "absl/time/clock.h"
#include "server/ops/log_throttle.h"
#include "server/ops/logging.h"

namespace qlarank {

void ReportNotFinite(const absl::Status& error, prometheus::Counter& counter) {
  counter.Increment();
  static LogThrottle throttle(absl::Seconds(10));
  if (const auto held_back = throttle.Admit(absl::Now())) {
    LogError("a model computed what is not a finite number",
             {{"error", error}, {"held_back", *held_back}});
  }
}

}  // namespace qlarank
