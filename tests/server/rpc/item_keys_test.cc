#include "server/rpc/item_keys.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace qlarank {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

// What XXH64 gives with seed 0, by another implementation.
constexpr uint64_t kOfA = 0xD24EC4F1A98C6E5B;
constexpr uint64_t kOfCafe = 0x9A40A9B974D85A6A;

TEST(ItemKeysTest, TextsOfCandidatesBecomeIds) {
  v1::RankRequest request;
  request.add_item_keys("a");
  request.add_item_keys("caf\u00e9");
  request.add_recent_events()->set_item_key("a");
  request.add_recent_events()->set_item_id(7);
  ResolveItemKeys(request);
  EXPECT_THAT(request.item_ids(), ElementsAre(kOfA, kOfCafe));
  EXPECT_THAT(request.item_keys(), IsEmpty());
  EXPECT_EQ(request.recent_events(0).item_id(), kOfA);
  EXPECT_EQ(request.recent_events(0).item_key(), "");
  EXPECT_EQ(request.recent_events(1).item_id(), 7);
}

TEST(ItemKeysTest, TextsOfEventsBecomeIdsInBothKindsOfCalls) {
  v1::StreamEventsRequest stream;
  stream.mutable_append()->add_events();  // without an event
  stream.mutable_append()->add_events()->mutable_event()->set_item_key("a");
  v1::AppendEventsRequest append = stream.append();
  ResolveItemKeys(stream);
  ResolveItemKeys(append);
  for (const auto& events : {stream.append().events(), append.events()}) {
    EXPECT_FALSE(events[0].has_event());
    EXPECT_EQ(events[1].event().item_id(), kOfA);
    EXPECT_EQ(events[1].event().item_key(), "");
  }
}

TEST(ItemKeysTest, AnEmptyTextIsLeftToBeRefused) {
  v1::RankRequest request;
  request.add_item_keys("a");
  request.add_item_keys("");
  ResolveItemKeys(request);
  EXPECT_THAT(request.item_keys(), ElementsAre("a", ""));
  EXPECT_THAT(request.item_ids(), IsEmpty());
}

TEST(ItemKeysTest, WhatHasBothIsLeftToBeRefused) {
  v1::RankRequest request;
  request.add_item_keys("a");
  request.add_item_ids(1);
  v1::Event& event = *request.add_recent_events();
  event.set_item_key("a");
  event.set_item_id(1);
  ResolveItemKeys(request);
  EXPECT_THAT(request.item_keys(), ElementsAre("a"));
  EXPECT_THAT(request.item_ids(), ElementsAre(1));
  EXPECT_EQ(event.item_key(), "a");
  EXPECT_EQ(event.item_id(), 1);
}

}  // namespace
}  // namespace qlarank
