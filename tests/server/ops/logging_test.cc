#include "server/ops/logging.h"

#include <limits>
#include <sstream>
#include <vector>

#include "absl/strings/str_split.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "server/ops/log_throttle.h"

namespace qlarank {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

const absl::Time kNoon = absl::FromUnixMillis(1772366400123);

TEST(FormatLogTextTest, WritesFieldsAfterTheMessage) {
  EXPECT_EQ(FormatLogText(kNoon, LogLevel::kInfo, "model loaded",
                          {{"model", "grocery"},
                           {"version", 1},
                           {"took", absl::Milliseconds(1500)},
                           {"default", true}}),
            "2026-03-01T12:00:00.123Z INFO model loaded model=grocery "
            "version=1 took=1.5 default=true");
}

TEST(FormatLogTextTest, QuotesWhatWouldBeMisread) {
  EXPECT_EQ(FormatLogText(kNoon, LogLevel::kError, "m",
                          {{"a", "two words"},
                           {"b", "say \"hi\""},
                           {"c", "x=y"},
                           {"d", "line\nbreak"},
                           {"e", ""}}),
            "2026-03-01T12:00:00.123Z ERROR m a=\"two words\" b=\"say "
            "\\\"hi\\\"\" c=\"x=y\" d=\"line\\nbreak\" e=\"\"");
}

TEST(FormatLogJsonTest, KeepsTypes) {
  const nlohmann::json line = nlohmann::json::parse(
      FormatLogJson(kNoon, LogLevel::kWarning, "m \"quoted\"",
                    {{"text", "12"},
                     {"number", -12},
                     {"big", std::numeric_limits<uint64_t>::max()},
                     {"fraction", 0.5},
                     {"flag", false},
                     {"infinite", std::numeric_limits<double>::infinity()},
                     {"status", absl::NotFoundError("no such model")}}));
  EXPECT_EQ(line["time"], "2026-03-01T12:00:00.123Z");
  EXPECT_EQ(line["level"], "warning");
  EXPECT_EQ(line["message"], "m \"quoted\"");
  EXPECT_EQ(line["text"], "12");
  EXPECT_EQ(line["number"], -12);
  EXPECT_EQ(line["big"], std::numeric_limits<uint64_t>::max());
  EXPECT_EQ(line["fraction"], 0.5);
  EXPECT_EQ(line["flag"], false);
  EXPECT_EQ(line["infinite"], "inf");
  EXPECT_EQ(line["status"], "NOT_FOUND: no such model");
}

// User ids come from outside, and may be any bytes.
TEST(FormatLogJsonTest, SurvivesBytesThatAreNotUtf8) {
  const std::string line =
      FormatLogJson(kNoon, LogLevel::kInfo, "m", {{"user", "a\xff\xfe"}});
  EXPECT_TRUE(nlohmann::json::accept(line)) << line;
}

class LogTest : public ::testing::Test {
 protected:
  ~LogTest() override { InitLogging(LogOptions()); }

  std::ostringstream out_;
};

TEST_F(LogTest, DropsWhatIsBelowTheLevel) {
  InitLogging({.level = LogLevel::kWarning}, out_);
  LogDebug("one");
  LogInfo("two");
  LogWarning("three");
  LogError("four");
  const std::vector<std::string> lines = absl::StrSplit(out_.str(), '\n');
  ASSERT_EQ(lines.size(), 3u) << out_.str();
  EXPECT_THAT(lines[0], HasSubstr(" WARNING three"));
  EXPECT_THAT(lines[1], HasSubstr(" ERROR four"));
}

TEST_F(LogTest, WritesOneJsonObjectALine) {
  InitLogging({.format = LogFormat::kJson}, out_);
  // Braces mean something to formatting libraries, not to us.
  LogInfo("{} %s", {{"value", "{0}\n"}});
  const std::vector<std::string> lines = absl::StrSplit(out_.str(), '\n');
  ASSERT_EQ(lines.size(), 2u) << out_.str();
  const nlohmann::json line = nlohmann::json::parse(lines[0]);
  EXPECT_EQ(line["message"], "{} %s");
  EXPECT_EQ(line["value"], "{0}\n");
}

TEST(LogThrottleTest, LetsOneThroughPerIntervalAndCountsTheRest) {
  LogThrottle throttle(absl::Seconds(10));
  EXPECT_EQ(throttle.Admit(kNoon), 0);
  EXPECT_EQ(throttle.Admit(kNoon), std::nullopt);
  EXPECT_EQ(throttle.Admit(kNoon + absl::Seconds(9)), std::nullopt);
  EXPECT_EQ(throttle.Admit(kNoon + absl::Seconds(10)), 2);
  EXPECT_EQ(throttle.Admit(kNoon + absl::Seconds(11)), std::nullopt);
  EXPECT_EQ(throttle.Admit(kNoon + absl::Seconds(21)), 1);
}

TEST(LogThrottleTest, IsNotSilencedByAClockThatIsSetBack) {
  LogThrottle throttle(absl::Seconds(10));
  EXPECT_EQ(throttle.Admit(kNoon), 0);
  EXPECT_EQ(throttle.Admit(kNoon - absl::Hours(24)), 0);
  EXPECT_EQ(throttle.Admit(kNoon - absl::Hours(24)), std::nullopt);
}

}  // namespace
}  // namespace qlarank
