#include "model/item_index.h"

#include <random>
#include <unordered_map>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace qlarank {
namespace {

using ::testing::ElementsAre;

TEST(ItemIndexTest, WithoutItemsEveryIdIsUnknown) {
  const ItemIndex index;
  EXPECT_EQ(index.size(), 0);
  EXPECT_EQ(index.Row(0), ItemIndex::kNoRow);
  EXPECT_EQ(index.Row(7), ItemIndex::kNoRow);
}

TEST(ItemIndexTest, AnyNumberIsAnId) {
  const std::vector<uint64_t> ids = {0, UINT64_MAX, 1ull << 63};
  const ItemIndex index(ids);
  EXPECT_EQ(index.Row(0), 1);
  EXPECT_EQ(index.Row(UINT64_MAX), 2);
  EXPECT_EQ(index.Row(1ull << 63), 3);
  EXPECT_EQ(index.Row(1), ItemIndex::kNoRow);
}

TEST(ItemIndexTest, AnIdThatOccursTwiceHasItsFirstRow) {
  const std::vector<uint64_t> ids = {5, 6, 5, 7};
  const ItemIndex index(ids);
  EXPECT_EQ(index.size(), 3);
  std::vector<uint32_t> rows(3);
  index.Rows(std::vector<uint64_t>{5, 7, 8}, absl::MakeSpan(rows));
  EXPECT_THAT(rows, ElementsAre(1, 4, ItemIndex::kNoRow));
}

// Ids as they come: in a row, in steps, at random; more than a batch, and not
// a multiple of one.
TEST(ItemIndexTest, AgreesWithAMap) {
  std::mt19937_64 random(1);
  std::vector<uint64_t> ids;
  for (uint64_t i = 0; i < 3000; ++i) {
    ids.push_back(i);
    ids.push_back(i << 32);
    ids.push_back(random());
  }
  std::unordered_map<uint64_t, uint32_t> map;
  for (size_t k = 0; k < ids.size(); ++k) map.emplace(ids[k], k + 1);
  const ItemIndex index(ids);
  EXPECT_EQ(index.size(), map.size());

  std::vector<uint64_t> asked = ids;
  for (int i = 0; i < 1001; ++i) asked.push_back(random());
  std::vector<uint32_t> rows(asked.size());
  index.Rows(asked, absl::MakeSpan(rows));
  for (size_t i = 0; i < asked.size(); ++i) {
    const auto found = map.find(asked[i]);
    EXPECT_EQ(rows[i], found == map.end() ? 0 : found->second) << asked[i];
    EXPECT_EQ(index.Row(asked[i]), rows[i]);
  }
}

}  // namespace
}  // namespace qlarank
