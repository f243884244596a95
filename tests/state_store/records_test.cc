#include "state_store/records.h"

#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "tests/state_store/store_testing.h"

namespace qlarank {
namespace {

using namespace std::string_literals;

UserHead MakeHead() {
  UserHead head;
  head.incarnation = 0xFEDCBA9876543210;
  head.last_sequence = 17;
  head.last_event_time_us = -1;
  head.watermarks = {{"", 1}, {"kafka-0", 1u << 31}, {"nul\0"s, 2}};
  return head;
}

LoggedEvent FullEvent() {
  LoggedEvent event = MakeEvent("u", 1);
  event.item_id = std::numeric_limits<uint64_t>::max();
  event.time_us = std::numeric_limits<int64_t>::min();
  event.schema = 3;
  event.catalogue_version = std::numeric_limits<uint64_t>::max() - 1;
  event.features = {0.0f, -0.0f, std::numeric_limits<float>::max(),
                    std::numeric_limits<float>::denorm_min()};
  return event;
}

TEST(RecordsTest, ReadsBackWhatItWrote) {
  EXPECT_THAT(DecodeEvent("k", EncodeEvent("k", FullEvent())),
              IsOkAndHolds(FullEvent()));
  EXPECT_THAT(DecodeEvent("k", EncodeEvent("k", LoggedEvent())),
              IsOkAndHolds(LoggedEvent()));
  EXPECT_THAT(DecodeHead("k", EncodeHead("k", MakeHead())),
              IsOkAndHolds(MakeHead()));
  EXPECT_THAT(DecodeMark("k", EncodeMark("k", "\0v"s)), IsOkAndHolds("\0v"s));
  EXPECT_THAT(DecodeMark("k", EncodeMark("k", "")), IsOkAndHolds(""s));
  Snapshot snapshot = MakeSnapshot("u", 3);
  EXPECT_THAT(DecodeSnapshot("k", "f", EncodeSnapshot("k", "f", snapshot)),
              IsOkAndHolds(snapshot));
  // As newer binaries write it; 0 is a time, too.
  for (const int64_t time_us : {int64_t{-5}, int64_t{0}, int64_t{7}}) {
    snapshot.newest_event_time_us = time_us;
    EXPECT_THAT(DecodeSnapshot("k", "f", EncodeSnapshot("k", "f", snapshot)),
                IsOkAndHolds(snapshot));
  }
}

// These bytes are on disks: a reader of format 1 must go on reading them.
// The checksum was computed by another program.
TEST(RecordsTest, BytesOfFormat1AreStillRead) {
  UserHead head;
  head.incarnation = 7;
  head.last_sequence = 2;
  const std::string value = EncodeHead("key", head);
  EXPECT_EQ(value.substr(4), "\x09\x07\0\0\0\0\0\0\0\x10\x02"s);
  EXPECT_EQ(value.substr(0, 4), "\x34\x18\x73\x5E"s);
}

CatalogueEntry Tea() {
  CatalogueEntry entry;
  entry.item_id = 7;
  entry.title = "Tea";
  return entry;
}

// What follows holds for every kind of record.
struct Kind {
  std::string name;
  std::string value;
  std::function<absl::Status(absl::string_view key, absl::string_view value)>
      decode;
};

std::vector<Kind> Kinds() {
  return {
      {"event", EncodeEvent("key", FullEvent()),
       [](auto key, auto value) { return DecodeEvent(key, value).status(); }},
      {"head", EncodeHead("key", MakeHead()),
       [](auto key, auto value) { return DecodeHead(key, value).status(); }},
      {"mark", EncodeMark("key", "\0\x7f position"s),
       [](auto key, auto value) { return DecodeMark(key, value).status(); }},
      {"mark of a source", EncodeSourceMark("key", {7, "note"}),
       [](auto key, auto value) {
         return DecodeSourceMark(key, value).status();
       }},
      {"schema", EncodeSchema("key", {"price", "rating"}),
       [](auto key, auto value) { return DecodeSchema(key, value).status(); }},
      {"entry of the catalogue",
       EncodeCatalogueEntry("key", Tea()),
       [](auto key, auto value) {
         return DecodeCatalogueEntry(key, value).status();
       }},
      {"snapshot", EncodeSnapshot("key", "f", MakeSnapshot("u", 3)),
       [](auto key, auto value) {
         return DecodeSnapshot(key, "f", value).status();
       }},
  };
}

TEST(RecordsTest, NoticesEveryFlippedBit) {
  for (const Kind& kind : Kinds()) {
    ASSERT_THAT(kind.decode("key", kind.value), IsOk());
    for (size_t i = 0; i < 8 * kind.value.size(); ++i) {
      std::string damaged = kind.value;
      damaged[i / 8] ^= static_cast<char>(1 << (i % 8));
      EXPECT_THAT(kind.decode("key", damaged),
                  IsStatus(absl::StatusCode::kDataLoss, "checksum"))
          << kind.name << " bit " << i;
    }
  }
}

TEST(RecordsTest, NoticesTruncationAndExtension) {
  for (const Kind& kind : Kinds()) {
    for (size_t n = 0; n < kind.value.size(); ++n) {
      EXPECT_THAT(kind.decode("key", kind.value.substr(0, n)),
                  IsStatus(absl::StatusCode::kDataLoss,
                           n < 4 ? "truncated" : "checksum"))
          << kind.name << " " << n;
    }
    EXPECT_THAT(kind.decode("key", kind.value + '\0'),
                IsStatus(absl::StatusCode::kDataLoss, "checksum"));
  }
}

TEST(RecordsTest, NoticesARecordUnderAnotherKey) {
  for (const Kind& kind : Kinds()) {
    EXPECT_THAT(kind.decode("kez", kind.value),
                IsStatus(absl::StatusCode::kDataLoss, "checksum"));
    EXPECT_THAT(kind.decode("", kind.value),
                IsStatus(absl::StatusCode::kDataLoss, "checksum"));
  }
}

TEST(RecordsTest, NoticesARecordOfAnotherKind) {
  const std::vector<Kind> kinds = Kinds();
  for (const Kind& reader : kinds) {
    for (const Kind& written : kinds) {
      if (reader.name == written.name) continue;
      EXPECT_THAT(reader.decode("key", written.value),
                  IsStatus(absl::StatusCode::kDataLoss, "checksum"));
    }
  }
}

TEST(RecordsTest, NoticesASnapshotOfAnotherFingerprint) {
  const std::string value = EncodeSnapshot("k", "f", MakeSnapshot("u", 3));
  EXPECT_THAT(DecodeSnapshot("k", "g", value),
              IsStatus(absl::StatusCode::kDataLoss, "another fingerprint"));
}

TEST(RecordsTest, NoticesAHeadWithoutIncarnation) {
  EXPECT_THAT(DecodeHead("k", EncodeHead("k", UserHead())),
              IsStatus(absl::StatusCode::kDataLoss, "incarnation 0"));
}

}  // namespace
}  // namespace qlarank
