#include "server/ingest/admission_clock.h"

#include "gtest/gtest.h"

namespace qlarank {
namespace {

constexpr absl::Duration kStart = absl::Hours(7);  // of the steady clock
const absl::Time kNoon = absl::FromUnixSeconds(1'700'000'000);

TEST(AdmissionClockTest, FollowsAWallClockThatGoesForward) {
  AdmissionClock clock;
  EXPECT_EQ(clock.Now(kNoon, kStart), kNoon);
  const absl::Duration second = absl::Seconds(1);
  EXPECT_EQ(clock.Now(kNoon + second, kStart + second), kNoon + second);
  // A jump forth is believed at once: it lets more events in, not fewer.
  EXPECT_EQ(clock.Now(kNoon + absl::Hours(5), kStart + second),
            kNoon + absl::Hours(5));
}

TEST(AdmissionClockTest, GoesOnWhenTheWallClockJumpsBack) {
  AdmissionClock clock;
  clock.Now(kNoon, kStart);
  const absl::Duration minute = absl::Minutes(1);
  const absl::Duration back = absl::Hours(48);
  EXPECT_EQ(clock.Now(kNoon + minute - back, kStart + minute), kNoon + minute);
  EXPECT_EQ(clock.Now(kNoon + 2 * minute, kStart + 2 * minute),
            kNoon + 2 * minute);
}

TEST(AdmissionClockTest, BelievesAnEarlierClockAfterAnHour) {
  AdmissionClock clock;
  clock.Now(kNoon, kStart);
  const absl::Duration back = absl::Hours(48);
  const absl::Duration almost = absl::Minutes(59);
  EXPECT_EQ(clock.Now(kNoon + almost - back, kStart + almost), kNoon + almost);
  const absl::Duration hour = absl::Hours(1);
  EXPECT_EQ(clock.Now(kNoon + hour - back, kStart + hour), kNoon + hour - back);
}

}  // namespace
}  // namespace qlarank
