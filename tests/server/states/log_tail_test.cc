#include "server/states/log_tail.h"

#include "gtest/gtest.h"

namespace qlarank::testing {
namespace {

// Events first ... last of one life, each of its sequence as item.
LogTail Tail(uint64_t first, uint64_t last, uint64_t incarnation = 7) {
  LogTail tail;
  tail.incarnation = incarnation;
  tail.first_sequence = first;
  for (uint64_t n = first; n <= last; ++n) {
    tail.events.emplace_back().item_id = n;
  }
  return tail;
}

TEST(LogTailTest, WhatIsLeftOfARoundComesBeforeWhatWasAppendedSince) {
  LogTail tail = Tail(301, 302);
  tail.Precede(Tail(257, 300));
  EXPECT_TRUE(tail.Continues(7, 256));
  EXPECT_EQ(tail.end_sequence(), 303);
  ASSERT_EQ(tail.events.size(), 46);
  EXPECT_EQ(tail.events.front().item_id, 257);
  EXPECT_EQ(tail.events.back().item_id, 302);
}

// Nothing at hand is what makes a fold read the log, to its end.
TEST(LogTailTest, AGapBehindWhatIsLeftLeavesNothingAtHand) {
  for (const LogTail& newer : {LogTail(), Tail(302, 303), Tail(301, 301, 8)}) {
    LogTail tail = newer;
    tail.Precede(Tail(257, 300));
    EXPECT_TRUE(tail.events.empty());
    EXPECT_EQ(tail.incarnation, 0);
  }
}

TEST(LogTailTest, GrowsByWhatFollowsAndGivesWayToWhatDoesNot) {
  const auto events = [](uint64_t first, uint64_t last) {
    LogTail tail{7, first, {}};
    for (uint64_t i = first; i <= last; ++i) {
      tail.events.emplace_back().item_id = i;
    }
    return tail;
  };
  LogTail tail;
  EXPECT_FALSE(tail.Continues(7, 0));
  tail.Extend(events(3, 4));
  tail.Extend(events(5, 5));
  EXPECT_EQ(tail.first_sequence, 3);
  EXPECT_EQ(tail.end_sequence(), 6);
  EXPECT_TRUE(tail.Continues(7, 2));
  EXPECT_TRUE(tail.Continues(7, 4));
  EXPECT_FALSE(tail.Continues(7, 1));  // 2 is missing
  EXPECT_FALSE(tail.Continues(7, 5));  // all are folded
  EXPECT_FALSE(tail.Continues(8, 2));
  tail.Extend(events(7, 9));  // 6 is missing
  EXPECT_EQ(tail.first_sequence, 7);
  EXPECT_EQ(tail.events.size(), 3);
}

}  // namespace
}  // namespace qlarank::testing
