#include "server/work/fair_quota.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "server/rank/request_slot.h"

namespace qlarank {
namespace {

// Takes one at a time until it may not; returns how many.
int TakeAll(FairQuota& quota, const std::string& client) {
  int taken = 0;
  while (quota.TryTake(client)) ++taken;
  return taken;
}

TEST(FairQuotaTest, OneClientLeavesAQuarter) {
  FairQuota quota(100);
  EXPECT_EQ(TakeAll(quota, "a"), 75);
  EXPECT_TRUE(quota.full("a"));
  EXPECT_FALSE(quota.full("b"));
}

TEST(FairQuotaTest, ANewcomerAlwaysFindsSome) {
  FairQuota quota(1000);
  for (int flood = 0; flood < 4; ++flood) {
    EXPECT_GT(TakeAll(quota, absl::StrCat("flood", flood)), 0) << flood;
  }
  EXPECT_TRUE(quota.TryTake("newcomer"));
}

TEST(FairQuotaTest, TwoGetAlikeInTheLongRun) {
  FairQuota quota(100);
  int a = TakeAll(quota, "a");
  int b = TakeAll(quota, "b");
  for (int round = 0; round < 100; ++round) {
    quota.Return("a");
    a += TakeAll(quota, "a") - 1;
    b += TakeAll(quota, "b");
  }
  EXPECT_NEAR(a, b, 3);
}

TEST(FairQuotaTest, WhatIsTooLargeIsTakenWhenNothingElseIs) {
  FairQuota quota(10);
  EXPECT_TRUE(quota.TryTake("a", 11));
  EXPECT_FALSE(quota.TryTake("b", 1));
  quota.Return("a", 11);
  EXPECT_TRUE(quota.TryTake("b", 1));
  EXPECT_FALSE(quota.TryTake("a", 11));
}

TEST(FairQuotaTest, TheLastOneIsForWhoeverComes) {
  FairQuota quota(1);
  EXPECT_TRUE(quota.TryTake("a"));
  EXPECT_FALSE(quota.TryTake("b"));
  quota.Return("a");
  EXPECT_TRUE(quota.TryTake("b"));
}

TEST(RequestSlotTest, IsGivenBackOnceWhereverItWent) {
  FairQuota quota(1);
  prometheus::Gauge taken;
  {
    RequestSlot slot = RequestSlot::TryTake(quota, "a", taken);
    ASSERT_TRUE(slot);
    EXPECT_EQ(taken.Value(), 1);
    EXPECT_FALSE(RequestSlot::TryTake(quota, "a", taken));
    RequestSlot moved = std::move(slot);
    EXPECT_TRUE(moved);
    EXPECT_EQ(taken.Value(), 1);
  }
  EXPECT_EQ(taken.Value(), 0);
  EXPECT_TRUE(RequestSlot::TryTake(quota, "a", taken));
}

}  // namespace
}  // namespace qlarank
