#include "state_store/rocksdb_key_order.h"

#include <random>
#include <string>
#include <vector>

#include "gtest/gtest.h"

namespace qlarank::rocksdb_internal {
namespace {

int Sign(int value) { return (value > 0) - (value < 0); }

constexpr char kBytes[] = {0, 1, 0x7f, '\x80', '\xff'};

// Of few different bytes, so that many begin alike or are the same; the highest
// bit is set in some.
std::vector<std::string> MakeKeys() {
  std::mt19937_64 random(3);
  std::vector<std::string> keys;
  for (int i = 0; i < 400; ++i) {
    std::string& key = keys.emplace_back(random() % 20, '\0');
    for (char& c : key) c = kBytes[random() % 3 == 0 ? random() % 5 : 0];
  }
  return keys;
}

TEST(RocksDbKeyOrderTest, IsThatOfBytes) {
  const rocksdb::Comparator& bytewise = *rocksdb::BytewiseComparator();
  for (const std::string& a : MakeKeys()) {
    for (const std::string& b : MakeKeys()) {
      const int expected = Sign(bytewise.Compare(a, b));
      ASSERT_EQ(Sign(KeyOrder()->Compare(a, b)), expected);
      ASSERT_EQ(Sign(KeyOrder()->CompareWithoutTimestamp(a, b)), expected);
      ASSERT_EQ(KeyOrder()->Equal(a, b), expected == 0);
      std::string separator = a, same = a;
      KeyOrder()->FindShortestSeparator(&separator, b);
      bytewise.FindShortestSeparator(&same, b);
      ASSERT_EQ(separator, same);
    }
  }
}

// Else RocksDB would refuse stores that were made without it, and other tools
// those that were made with it.
TEST(RocksDbKeyOrderTest, HasItsName) {
  EXPECT_STREQ(KeyOrder()->Name(), rocksdb::BytewiseComparator()->Name());
}

}  // namespace
}  // namespace qlarank::rocksdb_internal
