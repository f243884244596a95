#include "server/upkeep/sweep_bounds.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace qlarank {
namespace {

constexpr absl::Duration kDay = absl::Hours(24);
constexpr absl::Duration kYear = absl::Hours(24 * 365);
const absl::Time kNow = absl::FromCivil(absl::CivilDay(2026, 6, 1),
                                        absl::UTCTimeZone());

RetentionOptions Idle(absl::Duration ttl) {
  RetentionOptions options;
  options.idle_user_ttl = ttl;
  return options;
}

StoreCensus Census(uint64_t users, uint64_t idle, absl::Time newest) {
  return {users, idle, 10 * users, newest};
}

TEST(CheckClockTest, BelievesAClockThatIsNotFarAheadOfTheNewestEvent) {
  struct Row {
    RetentionOptions options;
    absl::Duration lead;
    bool believed;
  };
  RetentionOptions by_age;
  by_age.max_event_age = 8 * kDay;
  RetentionOptions both = Idle(kYear);
  both.max_event_age = 8 * kDay;
  RetentionOptions by_number;
  by_number.max_events_per_user = 1;
  RetentionOptions allowed = Idle(kYear);
  allowed.allow_idle_store = true;
  const Row rows[] = {
      {Idle(kYear), kYear / 8, true},
      {Idle(kYear), kYear / 8 + absl::Seconds(1), false},
      {Idle(kYear), 10 * kYear, false},
      // Events may be ahead of the clock.
      {Idle(kYear), -kDay, true},
      {Idle(kYear), -10 * kYear, true},
      // An hour without events is nothing.
      {Idle(absl::Minutes(1)), absl::Hours(1), true},
      {Idle(absl::Minutes(1)), absl::Minutes(61), false},
      {by_age, kDay, true},
      {by_age, kDay + absl::Seconds(1), false},
      {both, kDay + absl::Seconds(1), false},
      {by_number, 10 * kYear, true},
      {allowed, 10 * kYear, true},
  };
  for (const Row& row : rows) {
    const absl::Status status =
        CheckClock(row.options, Census(5, 0, kNow - row.lead), kNow);
    EXPECT_EQ(status.ok(), row.believed) << row.lead << ": " << status;
  }
  EXPECT_TRUE(CheckClock(Idle(kYear), StoreCensus(), kNow).ok());
}

TEST(CheckClockTest, NamesBothTimesAndTheWayOut) {
  const absl::Status status =
      CheckClock(Idle(8 * kDay), Census(5, 0, kNow - 2 * kDay), kNow);
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(status.message(),
            "the clock says 2026-06-01T00:00:00Z, but the newest event of the "
            "store is of 2026-05-30T00:00:00Z, 48h before, where at most 24h is "
            "believed: nothing is removed for its age. Mend the clock; if it is "
            "right and nobody has written for so long, set "
            "retention.allow_idle_store");
}

TEST(MaxRemovedADayTest, IsAShareOrWhatThePolicyBrings) {
  EXPECT_EQ(MaxRemovedADay(Idle(kYear), kYear, 1000, 10), 50u);
  EXPECT_EQ(MaxRemovedADay(Idle(kYear), kYear, 100, 10), 10u);
  // Whoever comes once goes after 8 days, an eighth of all each day.
  EXPECT_EQ(MaxRemovedADay(Idle(8 * kDay), 8 * kDay, 1000, 10), 250u);
  EXPECT_EQ(MaxRemovedADay(Idle(kDay), kDay, 1000, 10), 1000u);
  RetentionOptions options = Idle(kDay);
  options.max_daily_share = 0.01;
  EXPECT_EQ(MaxRemovedADay(options, kDay, 10'000, 10), 100u);
  options.max_daily_share = 1;
  EXPECT_EQ(MaxRemovedADay(options, kDay, 3, 10), 3u);
}

TEST(CheckErasedShareTest, CountsWhatWentToday) {
  const auto check = [](uint64_t idle, uint64_t erased) {
    return CheckErasedShare(Idle(kYear), Census(1000, idle, kNow), erased);
  };
  EXPECT_TRUE(check(50, 0).ok());
  EXPECT_TRUE(check(0, 900).ok());
  EXPECT_TRUE(check(10, 40).ok());
  EXPECT_EQ(check(51, 0).code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(check(20, 40).code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(std::string(check(300, 0).message()),
              ::testing::AllOf(::testing::HasSubstr("300 of 1000 users"),
                               ::testing::HasSubstr("at most 50 may be"),
                               ::testing::HasSubstr("retention.max_daily_share")));
}

}  // namespace
}  // namespace qlarank
