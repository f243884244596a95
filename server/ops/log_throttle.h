// Keeps an error that repeats from flooding the log: lets one through now and
// then, and counts those it held back.
//
//   static LogThrottle throttle(absl::Seconds(10));
//   if (const auto held_back = throttle.Admit(absl::Now())) {
//     LogWarning("snapshot not written",
//                {{"error", status}, {"held_back", *held_back}});
//   }
//
// Thread-safe, without locks.
#ifndef QLARANK_SERVER_OPS_LOG_THROTTLE_H_
#define QLARANK_SERVER_OPS_LOG_THROTTLE_H_

#include <atomic>
#include <cstdint>
#include <limits>
#include <optional>

#include "absl/time/time.h"

namespace qlarank {

class LogThrottle {
 public:
  // At least `interval` passes between two lines.
  explicit LogThrottle(absl::Duration interval)
      : interval_ns_(absl::ToInt64Nanoseconds(interval)) {}

  // How many were held back since the last line, if there may be one now;
  // nullopt if not. The first is let through.
  std::optional<int64_t> Admit(absl::Time now) {
    const int64_t now_ns = absl::ToUnixNanos(now);
    int64_t next_ns = next_ns_.load(std::memory_order_relaxed);
    // More than an interval to wait: the clock was set back.
    const bool set_back = next_ns > now_ns && next_ns - now_ns > interval_ns_;
    // Of several threads at the same time, one wins the exchange.
    if ((now_ns < next_ns && !set_back) ||
        !next_ns_.compare_exchange_strong(next_ns, now_ns + interval_ns_,
                                          std::memory_order_relaxed)) {
      held_back_.fetch_add(1, std::memory_order_relaxed);
      return std::nullopt;
    }
    return held_back_.exchange(0, std::memory_order_relaxed);
  }

 private:
  const int64_t interval_ns_;
  std::atomic<int64_t> next_ns_ = std::numeric_limits<int64_t>::min();
  std::atomic<int64_t> held_back_ = 0;
};

}  // namespace qlarank

#endif  // QLARANK_SERVER_OPS_LOG_THROTTLE_H_
