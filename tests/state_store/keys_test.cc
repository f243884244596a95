#include "state_store/keys.h"

#include <limits>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "gtest/gtest.h"

namespace qlarank {
namespace {

using namespace std::string_literals;

const std::vector<std::string>& AwkwardUsers() {
  static const auto& users =
      *new std::vector<std::string>{"u",
                                    "us",
                                    "user",
                                    "user\0"s,
                                    "user\0\0"s,
                                    "\0"s,
                                    "\0\0"s,
                                    "\xff"s,
                                    "\xff\xff"s,
                                    "käse",
                                    "用户",
                                    "\x00\x01u"s,
                                    "a/b|c",
                                    "\0u\0\0"s,
                                    std::string(kMaxUserIdBytes, 'x'),
                                    "user\0\0\0\0\0\0\0\1"s};
  return users;
}

// These bytes are on disks.
TEST(KeysTest, BytesAreFixed) {
  // XXH64 of "" and "abc" with seed 0, from the specification of xxHash.
  EXPECT_EQ(UserKey(""), "\xEF\x46\xDB\x37\x51\xD8\xE9\x99\0\0"s);
  EXPECT_EQ(UserKey("abc"),
            "\x44\xBC\x2C\xF5\xAD\x77\x09\x99\0\x03"
            "abc"s);
  EXPECT_EQ(LogKey("abc", 0x0102030405060708),
            "\x44\xBC\x2C\xF5\xAD\x77\x09\x99\0\x03"
            "abc\x01\x02\x03\x04\x05\x06\x07\x08"s);
}

TEST(KeysTest, AfterLogKeyEndsARangeThatIncludesTheKey) {
  constexpr uint64_t kMax = std::numeric_limits<uint64_t>::max();
  for (const std::string& user : AwkwardUsers()) {
    EXPECT_EQ(AfterLogKey(user, 7), LogKey(user, 7) + '\0');
    EXPECT_LT(AfterLogKey(user, 7), LogKey(user, 8));
    EXPECT_GT(AfterLogKey(user, kMax), LogKey(user, kMax));
  }
}

TEST(KeysTest, NoUserKeyIsAPrefixOfAnother) {
  for (const std::string& a : AwkwardUsers()) {
    for (const std::string& b : AwkwardUsers()) {
      if (a == b) continue;
      EXPECT_FALSE(absl::StartsWith(UserKey(b), UserKey(a)));
      EXPECT_FALSE(SequenceOfLogKey(LogKey(b, 1), UserKey(a)).has_value());
    }
  }
}

TEST(KeysTest, EventsSortBySequence) {
  const std::vector<uint64_t> sequences = {
      0,
      1,
      2,
      255,
      256,
      65535,
      1u << 31,
      uint64_t{1} << 32,
      std::numeric_limits<uint64_t>::max()};
  for (size_t i = 1; i < sequences.size(); ++i) {
    EXPECT_LT(LogKey("u", sequences[i - 1]), LogKey("u", sequences[i]));
  }
}

TEST(KeysTest, ReadsBackWhatItWrote) {
  for (const std::string& user : AwkwardUsers()) {
    EXPECT_EQ(UserOfUserKey(UserKey(user)), user);
    std::string key = LogKey(user, 1);
    SetSequence(key, uint64_t{1} << 40);
    EXPECT_EQ(key, LogKey(user, uint64_t{1} << 40));
    EXPECT_EQ(SequenceOfLogKey(key, UserKey(user)), uint64_t{1} << 40);
  }
}

TEST(KeysTest, ASourcesMarkIsToldFromWhatIsBesideIt) {
  for (const std::string source : {"", "a", "erasure 1"}) {
    EXPECT_EQ(SourceOfMarkKey(SourceMarkKey(source)), source);
    EXPECT_FALSE(NumberOfErasureKey(SourceMarkKey(source)).has_value());
  }
  EXPECT_FALSE(SourceOfMarkKey(ErasureKey(7)).has_value());
  EXPECT_FALSE(SourceOfMarkKey("qlarank format").has_value());
}

TEST(KeysTest, AMarkIsToldFromWhatIsBesideIt) {
  for (const std::string name : {"", "a", "source 1", "\xff"}) {
    EXPECT_EQ(NameOfMarkKey(MarkKey(name)), name);
    EXPECT_FALSE(SourceOfMarkKey(MarkKey(name)).has_value());
    EXPECT_FALSE(NumberOfErasureKey(MarkKey(name)).has_value());
  }
  EXPECT_EQ(NumberOfSchemaKey(SchemaKey(7)), 7u);
  for (const std::string& key :
       {SourceMarkKey("a"), SchemaKey(7), ErasureKey(7),
        std::string("qlarank format")}) {
    EXPECT_FALSE(NameOfMarkKey(key).has_value()) << key;
  }
  EXPECT_FALSE(NumberOfSchemaKey(ErasureKey(7)).has_value());
}

TEST(KeysTest, RefusesWhatIsNoUserKey) {
  EXPECT_FALSE(UserOfUserKey("").has_value());
  EXPECT_FALSE(UserOfUserKey("short").has_value());
  EXPECT_FALSE(UserOfUserKey(LogKey("u", 1)).has_value());
  std::string key = UserKey("user");
  for (size_t i = 0; i < key.size(); ++i) {
    std::string damaged = key;
    damaged[i] ^= 0x10;
    EXPECT_FALSE(UserOfUserKey(damaged).has_value()) << i;
  }
}

}  // namespace
}  // namespace qlarank
