#include "model/added_items.h"

#include <iterator>
#include <map>
#include <numeric>
#include <random>
#include <thread>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace qlarank {
namespace {

using ::testing::ElementsAre;

constexpr uint32_t kFirstRow = 100;

TEST(AddedItemsTest, WithoutRoomThereIsNothing) {
  const AddedItems items(kFirstRow, 0);
  EXPECT_EQ(items.num_rows(), 0);
  EXPECT_EQ(items.newest_version(), 0);
  EXPECT_EQ(items.Newest(0), AddedItems::kNone);
  EXPECT_EQ(items.NewestAsOf(7, UINT64_MAX), AddedItems::kNone);
}

TEST(AddedItemsTest, RowsAreNumberedAsTheyAreAppended) {
  AddedItems items(kFirstRow, 3);
  items.Append(7, 1, 100);
  items.Append(0, 5, 9);
  items.Append(7, 6, 100);
  EXPECT_EQ(items.num_rows(), 3);
  EXPECT_EQ(items.num_items(), 2);
  EXPECT_EQ(items.newest_version(), 6);
  EXPECT_EQ(items.Newest(7), 102);
  EXPECT_EQ(items.Newest(0), 101);
  EXPECT_EQ(items.Newest(1), AddedItems::kNone);
  EXPECT_EQ(items.identity(101), 9);
  EXPECT_EQ(items.identity(102), 100);
  std::vector<uint32_t> rows = {1, 2, 3};
  items.PutNewest(std::vector<uint64_t>{0, 4, 7}, absl::MakeSpan(rows));
  EXPECT_THAT(rows, ElementsAre(101, 2, 102));
}

TEST(AddedItemsTest, AnItemHasTheRowOfItsVersion) {
  AddedItems items(kFirstRow, 2);
  items.Append(7, 10, 100);
  items.Append(7, 20, 100);
  EXPECT_EQ(items.NewestAsOf(7, 9), AddedItems::kNone);
  EXPECT_EQ(items.NewestAsOf(7, 10), 100);
  EXPECT_EQ(items.NewestAsOf(7, 19), 100);
  EXPECT_EQ(items.NewestAsOf(7, 20), 101);
  EXPECT_EQ(items.NewestAsOf(7, UINT64_MAX), 101);
}

// Few items, so that each has many rows; versions with gaps; all room used.
TEST(AddedItemsTest, AgreesWithAMap) {
  constexpr size_t kRows = 5000;
  std::mt19937_64 random(1);
  AddedItems items(kFirstRow, kRows);
  std::map<uint64_t, std::map<uint64_t, uint32_t>> rows;  // id, version
  uint64_t version = 0;
  for (size_t i = 0; i < kRows; ++i) {
    const uint64_t id = random() % (i % 2 == 0 ? 3 : 2000) << 40;
    version += 1 + random() % 3;
    items.Append(id, version, kFirstRow);
    rows[id][version] = static_cast<uint32_t>(kFirstRow + i);
  }
  EXPECT_EQ(items.num_items(), rows.size());
  for (const auto& [id, by_version] : rows) {
    EXPECT_EQ(items.Newest(id), by_version.rbegin()->second);
    for (int i = 0; i < 200; ++i) {
      const uint64_t asked = random() % (version + 2);
      const auto after = by_version.upper_bound(asked);
      const uint32_t expected = after == by_version.begin()
                                    ? AddedItems::kNone
                                    : std::prev(after)->second;
      ASSERT_EQ(items.NewestAsOf(id, asked), expected) << id << " " << asked;
    }
  }
}

// A step for each of a million rows would take hours here.
TEST(AddedItemsTest, OldVersionsOfABusyItemAreFoundAtOnce) {
  constexpr uint64_t kRows = 1'000'000;
  AddedItems items(kFirstRow, kRows);
  for (uint64_t version = 1; version <= kRows; ++version) {
    items.Append(7, version, kFirstRow);
  }
  for (uint64_t version = 1; version <= kRows; ++version) {
    ASSERT_EQ(items.NewestAsOf(7, version), kFirstRow + version - 1);
  }
}

// For the thread sanitizer, too: what a reader finds, it finds whole.
TEST(AddedItemsTest, ReadersSeeWholeRowsWhileOneThreadWrites) {
  constexpr uint32_t kRows = 20'000, kIds = 1000;
  AddedItems items(kFirstRow, kRows);
  const auto read = [&] {
    std::vector<uint64_t> ids(kIds);
    std::iota(ids.begin(), ids.end(), 0);
    size_t num_rows = 0;
    while (num_rows < kRows) {
      num_rows = items.num_rows();
      std::vector<uint32_t> rows(kIds);
      items.PutNewest(ids, absl::MakeSpan(rows));
      for (uint32_t id = 0; id < kIds; ++id) {
        if (rows[id] == AddedItems::kNone) {
          ASSERT_LT(num_rows, kIds);
          continue;
        }
        // Row r is of item r % kIds and has version r.
        ASSERT_EQ((rows[id] - kFirstRow) % kIds, id);
        ASSERT_LT(rows[id], kFirstRow + items.num_rows());
        ASSERT_EQ(items.identity(rows[id]), id + 1);
        ASSERT_EQ(items.NewestAsOf(id, rows[id]), rows[id]);
      }
    }
  };
  std::vector<std::thread> readers;
  for (int i = 0; i < 2; ++i) readers.emplace_back(read);
  for (uint32_t row = kFirstRow; row < kFirstRow + kRows; ++row) {
    const uint32_t id = (row - kFirstRow) % kIds;
    items.Append(id, row, id + 1);
  }
  for (std::thread& reader : readers) reader.join();
}

}  // namespace
}  // namespace qlarank
