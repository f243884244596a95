#include "server/pipeline/log_tail.h"

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

}  // namespace
}  // namespace qlarank::testing
