#include "cli/exported_csv.h"

#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <sstream>
#include <string>
#include <vector>

#include "cli/csv_reader.h"
#include "cli/event_csv.h"
#include "gtest/gtest.h"

namespace qlarank {
namespace {

v1::ExportedUser UserOf(const std::string& user_id, const v1::Event& event) {
  v1::ExportedUser user;
  user.set_user_id(user_id);
  user.add_events()->set_sequence(1);
  *user.mutable_events(0)->mutable_event() = event;
  return user;
}

v1::Event EventAt(int64_t seconds, int32_t nanos) {
  v1::Event event;
  event.set_item_id(std::numeric_limits<uint64_t>::max());
  event.set_action("view");
  event.mutable_time()->set_seconds(seconds);
  event.mutable_time()->set_nanos(nanos);
  return event;
}

std::string Line(const v1::ExportedUser& user) {
  std::string csv;
  AppendExported(user, csv);
  return csv;
}

// What `qlarank import` takes a line for.
v1::UserEvent ReadBack(const v1::ExportedUser& user,
                       const std::vector<std::string>& features = {}) {
  std::istringstream file(ExportHeader(features) + Line(user));
  CsvReader reader(file, "exported.csv");
  EventColumns columns;
  columns.features = features;
  auto csv = EventCsv::Open(reader, columns, TimeUnit::kSeconds);
  EXPECT_TRUE(csv.ok()) << csv.status();
  v1::UserEvent event;
  const auto read = csv->Read(event);
  EXPECT_TRUE(read.ok() && *read) << read.status();
  event.clear_sequence();
  return event;
}

TEST(ExportedCsvTest, WritesWhatPeopleWouldWrite) {
  EXPECT_EQ(ExportHeader({}), "user,item,action,time\n");
  EXPECT_EQ(ExportHeader({"price", "a,b"}),
            "user,item,action,time,price,\"a,b\"\n");
  EXPECT_EQ(Line(UserOf("ada", EventAt(1'511'200'980, 0))),
            "ada,18446744073709551615,view,1511200980\n");
  v1::Event event = EventAt(1'511'200'980, 250'000'000);
  event.add_features(0.1f);
  event.add_features(-3);
  EXPECT_EQ(Line(UserOf("a,\"b", event)),
            "\"a,\"\"b\",18446744073709551615,view,1511200980.25,0.1,-3\n");
}

TEST(ExportedCsvTest, IsReadBackAsItWas) {
  for (const std::string user_id :
       {"ada", " ada ", "a,b", "\"", "a\nb", "用户", "-", "0"}) {
    for (const int64_t seconds : {1'511'200'980, 1'000'000'000, 0, -5}) {
      for (const int32_t nanos : {0, 1'000, 999'999'000, 120'000'000}) {
        const v1::Event event = EventAt(seconds, nanos);
        const v1::UserEvent read = ReadBack(UserOf(user_id, event));
        EXPECT_EQ(read.user_id(), user_id);
        EXPECT_EQ(read.event().ShortDebugString(), event.ShortDebugString());
      }
    }
  }
}

TEST(ExportedCsvTest, KeepsEveryBitOfAFeature) {
  std::mt19937 random(7);
  std::vector<std::string> names;
  v1::Event event = EventAt(1'511'200'980, 0);
  for (int i = 0; i < 20'000; ++i) {
    const uint32_t bits = random();
    float value = 0;
    std::memcpy(&value, &bits, sizeof(value));
    if (!std::isfinite(value)) continue;
    names.push_back("f" + std::to_string(i));
    event.add_features(value);
  }
  event.set_features(0, -0.0f);
  event.set_features(1, std::numeric_limits<float>::denorm_min());
  event.set_features(2, std::numeric_limits<float>::max());
  for (int first = 0; first < event.features_size(); first += 50) {
    v1::Event part = event;
    part.clear_features();
    std::vector<std::string> part_names;
    for (int i = first; i < std::min(first + 50, event.features_size());
         ++i) {
      part.add_features(event.features(i));
      part_names.push_back(names[i]);
    }
    EXPECT_EQ(ReadBack(UserOf("ada", part), part_names)
                  .event()
                  .SerializeAsString(),
              part.SerializeAsString());
  }
}

}  // namespace
}  // namespace qlarank
