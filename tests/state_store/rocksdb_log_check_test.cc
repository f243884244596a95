// Damage is told from a torn end, in files that RocksDB wrote.
#include "state_store/rocksdb_log_check.h"

#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>

#include "gtest/gtest.h"
#include "tests/state_store/store_testing.h"

namespace qlarank::rocksdb_internal {
namespace {

constexpr uint64_t kBlock = 32 << 10;

std::string Read(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return std::string(std::istreambuf_iterator<char>(file), {});
}

// The newest WAL of a store after appends of so many events each.
std::string Wal(const std::vector<uint64_t>& appends) {
  TempFolder folder;
  auto store = OpenRocksDbStateStore(SmallOptions(folder / "store"));
  EXPECT_THAT(store, IsOk());
  uint64_t sequence = 0;
  for (const uint64_t num_events : appends) {
    EXPECT_THAT((*store)->AppendEvents({MakeAppend("u", sequence + 1,
                                                   sequence + num_events)}),
                IsOk());
    sequence += num_events;
  }
  std::string wal;
  for (const auto& entry :
       std::filesystem::directory_iterator(folder / "store")) {
    if (entry.path().extension() == ".log") wal = Read(entry.path());
  }
  return wal;
}

// More than two blocks, with records that end, and others that go on, behind
// their ends.
std::string SeveralBlocks() {
  std::vector<uint64_t> appends(90, 5);
  appends.push_back(500);
  appends.insert(appends.end(), 20, 3);
  const std::string wal = Wal(appends);
  EXPECT_GT(wal.size(), 2 * kBlock);
  return wal;
}

bool FlipIsFound(std::string wal, uint64_t bit) {
  wal[bit / 8] = static_cast<char>(wal[bit / 8] ^ (1 << bit % 8));
  return FindDamage(wal).has_value();
}

TEST(RocksDbLogCheckTest, AWholeFileIsNotDamaged) {
  EXPECT_EQ(FindDamage(""), std::nullopt);
  EXPECT_EQ(FindDamage(SeveralBlocks()), std::nullopt);
}

TEST(RocksDbLogCheckTest, EveryFlippedBitIsFound) {
  const std::string wal = SeveralBlocks();
  std::mt19937_64 random(20261125);
  for (int i = 0; i < 5000; ++i) {
    const uint64_t bit = random() % (8 * wal.size());
    EXPECT_TRUE(FlipIsFound(wal, bit)) << "byte " << bit / 8;
  }
  // The last records, where a damaged length looks most like a torn write.
  for (uint64_t bit = 8 * (wal.size() - 1000); bit < 8 * wal.size(); ++bit) {
    EXPECT_TRUE(FlipIsFound(wal, bit)) << "byte " << bit / 8 << " bit "
                                       << bit % 8;
  }
}

TEST(RocksDbLogCheckTest, ATornEndIsNotDamage) {
  const std::string wal = SeveralBlocks();
  for (uint64_t size = wal.size() - 2000; size < wal.size(); ++size) {
    EXPECT_EQ(FindDamage(wal.substr(0, size)), std::nullopt) << size;
  }
  for (uint64_t size = kBlock - 50; size < kBlock + 50; ++size) {
    EXPECT_EQ(FindDamage(wal.substr(0, size)), std::nullopt) << size;
  }
  // The file had grown, the bytes had not come.
  EXPECT_EQ(FindDamage(wal + std::string(5000, '\0')), std::nullopt);
}

TEST(RocksDbLogCheckTest, AHoleBeforeOtherRecordsIsDamage) {
  std::string wal = SeveralBlocks();
  wal.replace(kBlock, kBlock, kBlock, '\0');
  EXPECT_TRUE(FindDamage(wal).has_value());
}

}  // namespace
}  // namespace qlarank::rocksdb_internal
