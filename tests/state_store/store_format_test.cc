// The format record, and the positions of partitions: what is on disks.
#include "state_store/store_format.h"

#include <string>

#include "gtest/gtest.h"
#include "state_store/partition_position.h"
#include "state_store/state_store.h"
#include "tests/state_store/store_testing.h"

namespace qlarank {
namespace {

constexpr auto kDataLoss = absl::StatusCode::kDataLoss;

TEST(StoreFormatTest, IsALineOfTextThatNamesThePartitions) {
  // The checksum was computed by another program.
  EXPECT_EQ(FormatRecord(16),
            "qlarank store, format 2, 16 partitions, crc d7f337d4");
  for (const uint32_t partitions : {1u, 16u, kMaxPartitions}) {
    const auto format = ParseFormatRecord(FormatRecord(partitions));
    ASSERT_THAT(format, IsOk());
    EXPECT_EQ(format->format, 2u);
    EXPECT_EQ(format->partitions, partitions);
  }
}

TEST(StoreFormatTest, NoticesEveryFlippedBit) {
  const std::string record = FormatRecord(16);
  for (size_t i = 0; i < 8 * record.size(); ++i) {
    std::string damaged = record;
    damaged[i / 8] ^= static_cast<char>(1 << (i % 8));
    EXPECT_THAT(ParseFormatRecord(damaged), IsStatus(kDataLoss, "format"))
        << damaged;
  }
}

TEST(StoreFormatTest, RefusesWhatNobodyWrote) {
  for (const std::string record :
       {"", "qlarank", "qlarank store, format ", "qlarank store, format 0",
        "qlarank store, format 1x", "qlarank store, format 2",
        "qlarank store, format 2, 16 partitions"}) {
    EXPECT_THAT(ParseFormatRecord(record), IsStatus(kDataLoss, "format"))
        << record;
  }
  EXPECT_THAT(ParseFormatRecord(FormatRecord(0)), IsStatus(kDataLoss, ""));
  EXPECT_THAT(ParseFormatRecord(FormatRecord(kMaxPartitions + 1)),
              IsStatus(kDataLoss, ""));
}

TEST(StoreFormatTest, KnowsTheFormatBeforeAndNamesLaterOnes) {
  EXPECT_EQ(ParseFormatRecord("qlarank store, format 1")->format, 1u);
  EXPECT_EQ(ParseFormatRecord("qlarank store, format 3")->format, 3u);
  EXPECT_EQ(ParseFormatRecord("qlarank store, format 12, who knows")->format,
            12u);
}

TEST(PartitionPositionTest, ReadsBackWhatItWrote) {
  const Mark mark = PositionMark(3, 16, 1'234);
  EXPECT_EQ(mark.name, "partition 3 of 16");
  EXPECT_EQ(mark.value, "1234");
  EXPECT_THAT(ParsePosition(mark.value), IsOkAndHolds(1'234u));
  const auto name = ParsePositionMarkName(mark.name);
  ASSERT_TRUE(name.has_value());
  EXPECT_EQ(name->partition, 3u);
  EXPECT_EQ(name->partitions, 16u);
}

TEST(PartitionPositionTest, TellsItsMarksFromOthers) {
  for (const std::string name :
       {"", "partition", "partition 3", "partition 3 of ", "partition x of 16",
        "partition 16 of 16", "partition 03 of 16", "partition 3 of 16 ",
        "partition 3 of 5000", "topic 3 of 16"}) {
    EXPECT_FALSE(ParsePositionMarkName(name).has_value()) << name;
  }
  for (const std::string value : {"", "x", "-1", "01", " 1", "1 "}) {
    EXPECT_THAT(ParsePosition(value), IsStatus(kDataLoss, "number")) << value;
  }
}

}  // namespace
}  // namespace qlarank
