#include "server/security/token_table.h"

#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace qlarank {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using Match = TokenTable::Match;

// As sha256sum prints them, of "correct-horse" and of "battery-staple".
constexpr char kHorse[] =
    "9dca666eb54730714630d1519264a7bf1eeaad00b8f2edc90d3ecbfad928d163";
constexpr char kStaple[] =
    "481fd32833966be5ea069e1ee38aab255d779d5510123c244d08de4194bbbee6";

std::string TwoTokens() {
  return absl::StrCat("# comment\ntokens { name: 'ranker' sha256: '", kHorse,
                      "' roles: ROLE_RANK }\n",
                      "tokens { name: 'ops' sha256: '", kStaple, "' roles: ROLE_ADMIN roles: ROLE_INGEST ",
                      "expires: '2026-06-01T12:00:00Z' }\n");
}

TokenTable ParseOrDie(const std::string& text) {
  auto table = TokenTable::Parse(text, "f");
  EXPECT_TRUE(table.ok()) << table.status();
  return *std::move(table);
}

TEST(TokenTableTest, FindsATokenByItsDigest) {
  const TokenTable table = ParseOrDie(TwoTokens());
  const auto found = table.Find("correct-horse", absl::InfinitePast());
  ASSERT_EQ(found.match, Match::kValid);
  EXPECT_EQ(found.caller->name, "ranker");
  EXPECT_TRUE(found.caller->roles.Has(Role::kRank));
  EXPECT_FALSE(found.caller->roles.Has(Role::kIngest));
  EXPECT_FALSE(found.caller->roles.Has(Role::kAdmin));
  const auto other = table.Find("battery-staple", absl::InfinitePast());
  ASSERT_EQ(other.match, Match::kValid);
  EXPECT_TRUE(other.caller->roles.Has(Role::kAdmin));
  EXPECT_TRUE(other.caller->roles.Has(Role::kIngest));
  EXPECT_FALSE(other.caller->roles.Has(Role::kRank));
}

TEST(TokenTableTest, ATokenEndsWhenItSaysSo) {
  const TokenTable table = ParseOrDie(TwoTokens());
  const absl::Time end =
      absl::FromCivil(absl::CivilHour(2026, 6, 1, 12), absl::UTCTimeZone());
  EXPECT_EQ(table.Find("battery-staple", end - absl::Nanoseconds(1)).match,
            Match::kValid);
  EXPECT_EQ(table.Find("battery-staple", end).match, Match::kExpired);
  EXPECT_EQ(table.Find("battery-staple", end + absl::Hours(1)).match,
            Match::kExpired);
  EXPECT_EQ(table.Find("correct-horse", absl::InfiniteFuture()).match,
            Match::kExpired);  // nothing is before that
  EXPECT_EQ(table.Find("correct-horse", end + absl::Hours(1'000'000)).match,
            Match::kValid);
}

// Neither is what the file holds a token, nor anything near one.
TEST(TokenTableTest, KnowsNothingElse) {
  const TokenTable table = ParseOrDie(TwoTokens());
  for (const std::string& token :
       {std::string(), std::string("correct-hors"),
        std::string("correct-horse "), std::string("Correct-horse"),
        std::string("correct-horse\0", 14), std::string(kHorse),
        std::string(TokenTable::kMaxTokenBytes + 1, 'x')}) {
    EXPECT_EQ(table.Find(token, absl::UnixEpoch()).match, Match::kUnknown);
    EXPECT_EQ(table.Find(token, absl::UnixEpoch()).caller, nullptr);
  }
}

TEST(TokenTableTest, NamesWhatIsWrong) {
  const auto error = [](const std::string& text) {
    return std::string(TokenTable::Parse(text, "f").status().message());
  };
  const std::string digest = absl::StrCat("sha256: '", kHorse, "' ");
  EXPECT_EQ(error(absl::StrCat("tokens { ", digest, "roles: ROLE_RANK }")),
            "f: tokens[0].name: is required");
  EXPECT_EQ(error("tokens { name: 'a' roles: ROLE_RANK }"),
            "f: tokens[0].sha256: expected 64 lower-case hex digits");
  EXPECT_EQ(error(absl::StrCat("tokens { name: 'a' ", digest, "}")),
            "f: tokens[0].roles: expected at least one of ROLE_RANK, "
            "ROLE_INGEST and ROLE_ADMIN");
  EXPECT_EQ(error(absl::StrCat("tokens { name: 'a' ", digest, "roles: 7 }")),
            error(absl::StrCat("tokens { name: 'a' ", digest, "}")));
  EXPECT_EQ(error(absl::StrCat("tokens { name: 'a' ", digest,
                               "roles: ROLE_RANK expires: 'soon' }")),
            "f: tokens[0].expires: expected a time such as "
            "2027-01-31T00:00:00Z");
  EXPECT_EQ(error(absl::StrCat(TwoTokens(), "tokens { name: 'b' ", digest,
                               "roles: ROLE_RANK }")),
            "f: tokens[2].sha256: is that of tokens[0] already");
  // What sha256sum prints, as a whole.
  for (const char* end : {"  -", "  ranker.token", " *-"}) {
    EXPECT_EQ(error(absl::StrCat("tokens { name: 'a' sha256: '", kHorse, end,
                                 "' roles: ROLE_RANK }")),
              "f: tokens[0].sha256: expected 64 lower-case hex digits; cut off "
              "what stands behind them, which sha256sum prints too: two spaces "
              "and the file's name, or \"-\"");
  }
  EXPECT_EQ(error(absl::StrCat("tokens { name: 'a' sha256: '",
                               absl::AsciiStrToUpper(kHorse),
                               "' roles: ROLE_RANK }")),
            "f: tokens[0].sha256: expected 64 lower-case hex digits; these are "
            "the right number, in upper case");
  for (const char* empty : {"", "\n", "# tokens { }\n"}) {
    EXPECT_EQ(error(empty),
              "f: holds no token; to revoke all of them, let each expire");
  }
  EXPECT_EQ(error("tokens {\n  name 'a' }"),
            "f:2:8: is no textproto of qlarank.config.v1.TokenFile");
}

// A token where something else belongs is a mistake that must not reach a log.
TEST(TokenTableTest, ErrorsHoldNothingOfAToken) {
  const std::string named = absl::StrCat(
      "tokens { name: 'correct-horse' sha256: '", kHorse, "' roles: ROLE_RANK");
  for (const std::string& text :
       {std::string(
            "tokens { name: 'a' sha256: 'correct-horse' roles: ROLE_RANK }"),
        std::string(
            "tokens { name: 'a' sha256: correct-horse roles: ROLE_RANK }"),
        std::string("tokens { name: 'a' correct-horse: 1 }"),
        std::string("correct-horse"),
        absl::StrCat(named, " expires: 'correct-horse' }"),
        absl::StrCat(named, " } ", named, " }")}) {
    const auto status = TokenTable::Parse(text, "f").status();
    EXPECT_FALSE(status.ok());
    EXPECT_THAT(status.ToString(), Not(HasSubstr("correct")));
    EXPECT_THAT(status.ToString(), Not(HasSubstr("horse")));
  }
}

}  // namespace
}  // namespace qlarank
