#include "cli/time_window.h"

#include <algorithm>
#include <cstdint>
#include <random>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace qlarank {
namespace {

using ::testing::HasSubstr;

EventStream::Item ItemAt(int64_t time_us, uint64_t line) {
  EventStream::Item item;
  item.line = line;
  auto& time = *item.event.mutable_event()->mutable_time();
  time.set_seconds(time_us / 1'000'000);
  time.set_nanos(static_cast<int32_t>(time_us % 1'000'000 * 1'000));
  return item;
}

TEST(TimeWindowTest, WhatIsNoLaterThanTheWidthComesOutInOrder) {
  std::mt19937 random(7);
  std::vector<std::pair<int64_t, uint64_t>> events;  // time, line
  int64_t newest = 1'500'000'000'000'000;
  TimeWindow window(absl::Milliseconds(50));
  std::vector<std::pair<int64_t, uint64_t>> out;
  const auto take = [&] {
    while (const auto item = window.Next()) {
      const auto& time = item->event.event().time();
      out.emplace_back(time.seconds() * 1'000'000 + time.nanos() / 1'000,
                       item->line);
    }
  };
  for (uint64_t line = 0; line < 10'000; ++line) {
    newest += random() % 20'000;
    // Few different ones, so that some are equal.
    const int64_t time =
        (newest - static_cast<int64_t>(random() % 50'000)) / 5'000 * 5'000;
    events.emplace_back(time, line);
    ASSERT_TRUE(window.Add(ItemAt(time, line)).ok());
    take();
  }
  EXPECT_LT(out.size(), events.size());
  EXPECT_GT(out.size(), events.size() - 50) << "it holds more than it must";
  window.Close();
  take();
  EXPECT_TRUE(window.empty());
  std::sort(events.begin(), events.end());
  EXPECT_EQ(out, events);
}

TEST(TimeWindowTest, IsBounded) {
  TimeWindow window(absl::Hours(1), /*max_events=*/2);
  EXPECT_TRUE(window.Add(ItemAt(100'000'000, 2)).ok());
  EXPECT_TRUE(window.Add(ItemAt(101'000'000, 3)).ok());
  const absl::Status full = window.Add(ItemAt(102'000'000, 4));
  EXPECT_TRUE(absl::IsResourceExhausted(full));
  EXPECT_THAT(std::string(full.message()),
              HasSubstr("line 4: --sort-within keeps 2 events at most, and so "
                        "many came within its 3600 s"));
}

}  // namespace
}  // namespace qlarank
