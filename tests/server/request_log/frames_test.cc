#include "server/request_log/frames.h"

#include <fstream>
#include <random>
#include <sstream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/server/request_log/log_testing.h"

namespace qlarank::testing {
namespace {

using ::testing::ElementsAreArray;

std::vector<std::string> Read(const std::string& bytes) {
  std::istringstream file(bytes);
  return RecordsOf(file);
}

TEST(FramesTest, AreReadAsTheyWereWritten) {
  const std::vector<std::string> records = {
      "a", "", std::string(127, 'b'), std::string(128, 'c'),
      std::string(100'000, '\xff'), std::string("\0\n", 2)};
  std::string bytes;
  for (const std::string& record : records) bytes += Framed(record);
  EXPECT_THAT(Read(bytes), ElementsAreArray(records));
}

// The format that others read: docs/request_log.md.
TEST(FramesTest, AreALengthARecordAndItsXxh64) {
  EXPECT_EQ(Framed("a"), absl::StrCat("\x01", "a",
                                      "\x5b\x6e\x8c\xa9\xf1\xc4\x4e\xd2"));
  EXPECT_EQ(Framed(std::string(300, 'x')).substr(0, 2), "\xac\x02");
}

TEST(FramesTest, EndAtTheLastWholeOneWhereverTheFileIsCut) {
  const std::string first = Framed("first"), second = Framed("second");
  for (size_t size = 0; size <= first.size() + second.size(); ++size) {
    const size_t whole = size == first.size() + second.size() ? 2
                         : size >= first.size()               ? 1
                                                              : 0;
    EXPECT_EQ(Read((first + second).substr(0, size)).size(), whole) << size;
  }
}

TEST(FramesTest, NoChangedBitIsTakenForARecord) {
  const std::string whole = Framed("first") + Framed("second");
  for (size_t bit = 0; bit < 8 * whole.size(); ++bit) {
    std::string changed = whole;
    changed[bit / 8] = static_cast<char>(changed[bit / 8] ^ (1 << bit % 8));
    for (const std::string& record : Read(changed)) {
      EXPECT_EQ(record, "first") << bit;
    }
  }
}

TEST(FramesTest, AFileThatIsNotThereHasNone) {
  std::ifstream file("/nowhere");
  EXPECT_TRUE(RecordsOf(file).empty());
}

TEST(FramesTest, NothingIsReadOfOtherBytes) {
  std::mt19937 random(1);
  for (int i = 0; i < 20'000; ++i) {
    std::string bytes(random() % 64, '\0');
    for (char& byte : bytes) byte = static_cast<char>(random());
    EXPECT_TRUE(Read(bytes).empty());
  }
}

}  // namespace
}  // namespace qlarank::testing
