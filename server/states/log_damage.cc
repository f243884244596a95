#include "server/states/log_damage.h"

#include <string>

#include "absl/strings/escaping.h"
#include "absl/time/clock.h"
#include "server/ops/log_throttle.h"
#include "server/ops/logging.h"
#include "state_store/keys.h"

namespace qlarank {

absl::Status ReportDamage(const absl::Status& status, absl::string_view user_id,
                          StateMetrics& metrics) {
  if (!absl::IsDataLoss(status)) return status;
  metrics.damaged_logs.Increment();
  static LogThrottle throttle(absl::Seconds(10));
  if (const auto held_back = throttle.Admit(absl::Now())) {
    const std::string key = UserKey(user_id);
    LogError("a user's event log is damaged",
             {{"user_hash", absl::BytesToHexString(
                                absl::string_view(key).substr(
                                    0, kUserHashBytes))},
              {"held_back", *held_back}});
  }
  return status;
}

}  // namespace qlarank
