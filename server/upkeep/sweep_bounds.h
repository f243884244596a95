// What one sweep of Retention may do, decided before it does anything: a clock
// that is wrong must not erase anybody, and a policy that would suddenly apply to
// many is asked about first. Stateless; every time is passed in.
#ifndef QLARANK_SERVER_UPKEEP_SWEEP_BOUNDS_H_
#define QLARANK_SERVER_UPKEEP_SWEEP_BOUNDS_H_

#include <cstdint>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "config/server_options.h"

namespace qlarank {

// The store as a sweep finds it.
struct StoreCensus {
  uint64_t users = 0;
  uint64_t idle_users = 0;  // by idle_user_ttl and the clock
  uint64_t events = 0;      // in all logs
  // Of all users; InfinitePast without one.
  absl::Time newest_event = absl::InfinitePast();
};

// How far the clock may be ahead of the newest event of the store under a policy
// that removes what is older than `age`: an eighth of it, an hour at least.
// Further ahead the clock is wrong, or nobody has written for long; nothing but
// an operator can tell which.
absl::Duration MaxClockLead(absl::Duration age);

// OK, or FAILED_PRECONDITION naming both times and the field that permits it,
// when `now` contradicts the newest event. OK without a policy that goes by the
// clock, for a store without users and with allow_idle_store.
absl::Status CheckClock(const RetentionOptions& options,
                        const StoreCensus& census, absl::Time now);

// How many of `total` may go in 24 hours under a policy with this age:
// options.max_daily_share of them; where that is 0, the larger of 5 % and what
// two days bring of a store that is renewed once in `age`. `least` at least.
uint64_t MaxRemovedADay(const RetentionOptions& options, absl::Duration age,
                        uint64_t total, uint64_t least);

// A store of a few users has no share worth the name.
inline constexpr uint64_t kLeastErasedUsers = 10;
inline constexpr uint64_t kLeastTrimmedEvents = 10'000;

// OK, or RESOURCE_EXHAUSTED naming the numbers and the field that permits it,
// when erasing all idle users, `erased` others having been erased within 24
// hours, would exceed the bound.
absl::Status CheckErasedShare(const RetentionOptions& options,
                              const StoreCensus& census, uint64_t erased);

}  // namespace qlarank

#endif  // QLARANK_SERVER_UPKEEP_SWEEP_BOUNDS_H_
