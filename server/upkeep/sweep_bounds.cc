#include "server/upkeep/sweep_bounds.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace qlarank {
namespace {

constexpr double kDefaultShare = 0.05;
constexpr absl::Duration kDay = absl::Hours(24);

// The shortest age that a policy goes by; infinite without one.
absl::Duration ShortestAge(const RetentionOptions& options) {
  absl::Duration shortest = absl::InfiniteDuration();
  for (const absl::Duration age :
       {options.idle_user_ttl, options.max_event_age}) {
    if (age > absl::ZeroDuration()) shortest = std::min(shortest, age);
  }
  return shortest;
}

std::string UtcText(absl::Time time) {
  return absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", time, absl::UTCTimeZone());
}

}  // namespace

absl::Duration MaxClockLead(absl::Duration age) {
  return std::max(age / 8, absl::Hours(1));
}

absl::Status CheckClock(const RetentionOptions& options,
                        const StoreCensus& census, absl::Time now) {
  const absl::Duration age = ShortestAge(options);
  if (age == absl::InfiniteDuration() || census.users == 0 ||
      options.allow_idle_store) {
    return absl::OkStatus();
  }
  const absl::Duration lead = now - census.newest_event;
  if (lead <= MaxClockLead(age)) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat(
      "the clock says ", UtcText(now), ", but the newest event of the store is "
      "of ", UtcText(census.newest_event), ", ", absl::FormatDuration(absl::Trunc(lead, absl::Seconds(1))),
      " before, where at most ", absl::FormatDuration(MaxClockLead(age)),
      " is believed: nothing is removed for its age. Mend the clock; if it is "
      "right and nobody has written for so long, set "
      "retention.allow_idle_store"));
}

uint64_t MaxRemovedADay(const RetentionOptions& options, absl::Duration age,
                        uint64_t total, uint64_t least) {
  double share = options.max_daily_share;
  if (share == 0) {
    share = std::max(kDefaultShare, absl::FDivDuration(2 * kDay, age));
  }
  if (share >= 1) return total;
  return std::max(least, static_cast<uint64_t>(share * total));
}

absl::Status CheckErasedShare(const RetentionOptions& options,
                              const StoreCensus& census, uint64_t erased) {
  // Of the users there were a day ago.
  const uint64_t most = MaxRemovedADay(options, options.idle_user_ttl,
                                       census.users + erased,
                                       kLeastErasedUsers);
  if (census.idle_users == 0 || census.idle_users + erased <= most) {
    return absl::OkStatus();
  }
  return absl::ResourceExhaustedError(absl::StrCat(
      census.idle_users, " of ", census.users,
      " users are idle for longer than retention.idle_user_ttl, ",
      absl::FormatDuration(options.idle_user_ttl), ", and ", erased,
      " were erased within 24 hours, where at most ", most,
      " may be: nobody is erased. If they are to go, set "
      "retention.max_daily_share to the share that may go in a day, 1 for all"));
}

}  // namespace qlarank
