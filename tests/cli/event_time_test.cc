#include "cli/event_time.h"

#include <cstdint>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace qlarank {
namespace {

using testing::HasSubstr;

struct TimeCase {
  const char* text;
  TimeUnit unit;
  int64_t seconds;
  int32_t nanos;
};

class ParseTimeTest : public testing::TestWithParam<TimeCase> {};

TEST_P(ParseTimeTest, IsExact) {
  auto time = ParseTime(GetParam().text, GetParam().unit);
  ASSERT_TRUE(time.ok()) << time.status();
  EXPECT_EQ(time->seconds(), GetParam().seconds);
  EXPECT_EQ(time->nanos(), GetParam().nanos);
}

INSTANTIATE_TEST_SUITE_P(
    Units, ParseTimeTest,
    testing::Values(
        TimeCase{"0", TimeUnit::kSeconds, 0, 0},
        TimeCase{"1511200980", TimeUnit::kSeconds, 1511200980, 0},
        TimeCase{"1511200980.25", TimeUnit::kSeconds, 1511200980, 250'000'000},
        // A double would give ...123 456 716.
        TimeCase{"1511200980.123456789", TimeUnit::kSeconds, 1511200980,
                 123'456'789},
        TimeCase{"-0.5", TimeUnit::kSeconds, -1, 500'000'000},
        TimeCase{"1511200980123", TimeUnit::kMilliseconds, 1511200980,
                 123'000'000},
        TimeCase{"1511200980123456", TimeUnit::kMicroseconds, 1511200980,
                 123'456'000},
        TimeCase{"2017-11-20T18:03:00Z", TimeUnit::kRfc3339, 1511200980, 0},
        TimeCase{"2017-11-20T18:03:00.5+01:00", TimeUnit::kRfc3339, 1511197380,
                 500'000'000}));

TEST(ParseTimeTest, RefusesWhatIsNoTime) {
  for (const char* text : {"", "-", "1e9", "12:00", "nan", " 1", "1.2.3", "0x1",
                           "9999999999999999999"}) {
    EXPECT_FALSE(ParseTime(text, TimeUnit::kSeconds).ok()) << text;
  }
  EXPECT_FALSE(ParseTime("2017-13-20T18:03:00Z", TimeUnit::kRfc3339).ok());
  // Milliseconds read as seconds: the message says what to look at.
  EXPECT_THAT(ParseTime("1511200980123", TimeUnit::kSeconds).status().message(),
              HasSubstr("--time-unit"));
}

// An option takes one time, and says what it could have been.
TEST(ParseTimeOptionTest, SaysWhatFormsThereAre) {
  const auto problem = [](const char* text, const char* unit) {
    return std::string(
        ParseTimeOption("--time", text, unit).status().message());
  };
  EXPECT_EQ(problem("noon", "s"),
            "--time \"noon\" is not a number of s since 1970, such as "
            "1511200980; or a date such as 2017-11-20T18:03:00Z, with "
            "--time-unit rfc3339");
  EXPECT_EQ(problem("noon", "rfc3339"),
            "--time \"noon\" is not an RFC 3339 time such as "
            "2017-11-20T18:03:00Z; or a number of s since 1970 such as "
            "1511200980, with --time-unit s");
  EXPECT_EQ(problem("2017-11-20", "s"),
            "--time \"2017-11-20\" is a date, not a number of s since 1970: "
            "write 2017-11-20T00:00:00Z (if it is UTC), and --time-unit "
            "rfc3339");
  EXPECT_EQ(problem("1511200980", "seconds"),
            "--time-unit \"seconds\" is none of s, ms and us, for numbers "
            "since 1970 such as 1511200980, and rfc3339, for dates such as "
            "2017-11-20T18:03:00Z");
  EXPECT_EQ(ParseTimeOption("--time", "1511200980", "s")->seconds(),
            1'511'200'980);
}

}  // namespace
}  // namespace qlarank
