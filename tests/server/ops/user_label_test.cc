#include "server/ops/user_label.h"

#include <sstream>
#include <string>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/ops/logging.h"

namespace qlarank {
namespace {

using ::testing::HasSubstr;
using ::testing::MatchesRegex;
using ::testing::Not;

TEST(UserLabelTest, IsTheSameForTheSameUserOnly) {
  EXPECT_EQ(UserLabel("ann"), UserLabel("ann"));
  EXPECT_NE(UserLabel("ann"), UserLabel("Ann"));
  EXPECT_NE(UserLabel(""), UserLabel("ann"));
  EXPECT_THAT(UserLabel("ann"), MatchesRegex("u-[0-9a-f]{16}"));
}

// That of "ann" begins so, as anyone can compute.
TEST(UserLabelTest, IsNoPlainHash) {
  EXPECT_THAT(UserLabel("ann"), Not(HasSubstr("49915e0d7d4b")));
}

TEST(UserLabelTest, TakesThePlaceOfIdsInTexts) {
  const std::string ann = UserLabel("ann");
  EXPECT_EQ(WithUserLabels("event 7 of user \"ann\": missing"),
            absl::StrCat("event 7 of user ", ann, ": missing"));
  EXPECT_EQ(WithUserLabels("user \"ann\" and user \"bob\""),
            absl::StrCat("user ", ann, " and user ", UserLabel("bob")));
  EXPECT_EQ(WithUserLabels("user_id: \"ann\"; is wrong"),
            absl::StrCat("user_id: ", ann, "; is wrong"));
  EXPECT_EQ(WithUserLabels("user \"ann"), absl::StrCat("user ", ann));
  EXPECT_EQ(WithUserLabels("user \""), absl::StrCat("user ", UserLabel("")));
  EXPECT_EQ(WithUserLabels("user \"ann\\"),
            absl::StrCat("user ", UserLabel("ann\\")));
  // A quote in an id does not end it.
  EXPECT_EQ(WithUserLabels("user \"a\\\"b\\n\" x"),
            absl::StrCat("user ", UserLabel("a\"b\n"), " x"));
  for (const char* text : {"", "no users at all", "source \"ann\"", "user ann"}) {
    EXPECT_EQ(WithUserLabels(text), text);
  }
}

class LoggedUserTest : public ::testing::TestWithParam<LogFormat> {};

INSTANTIATE_TEST_SUITE_P(, LoggedUserTest,
                         ::testing::Values(LogFormat::kText, LogFormat::kJson),
                         [](const auto& info) {
                           return info.param == LogFormat::kText ? "Text"
                                                                 : "Json";
                         });

// However a line comes to hold an id.
TEST_P(LoggedUserTest, NeverShowsItsId) {
  std::ostringstream log;
  InitLogging({LogLevel::kDebug, GetParam()}, log);
  const std::string status = "log of user \"alice-4711\" is damaged";
  LogDebug("a", {{"user", "alice-4711"}});
  LogInfo("b", {{"user_id", std::string("alice-4711")}});
  LogWarning("c", {{"error", absl::DataLossError(status)}});
  LogError("d", {{"text", status}, {"user", 4711}});
  InitLogging({});
  EXPECT_THAT(log.str(), Not(HasSubstr("alice")));
  EXPECT_THAT(log.str(), Not(HasSubstr("user=4711")));
  EXPECT_THAT(log.str(), Not(HasSubstr("\"user\":4711")));
  // Each of the four tells which user it was.
  const std::string label = UserLabel("alice-4711");
  size_t times = 0;
  for (size_t at = log.str().find(label); at != std::string::npos;
       at = log.str().find(label, at + 1)) {
    ++times;
  }
  EXPECT_EQ(times, 4u);
}

}  // namespace
}  // namespace qlarank
