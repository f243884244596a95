#include "server/rpc/rank_messages.h"

#include <set>
#include <vector>

#include "gtest/gtest.h"

namespace qlarank {
namespace {

using Holder = grpc::MessageHolder<v1::RankRequest, v1::RankResponse>;

// Bytes beyond the block that an arena begins with are blocks of its own.
uint64_t SpaceOf(Holder& holder) {
  return holder.request()->GetArena()->SpaceAllocated();
}

void Fill(Holder& holder, int candidates) {
  holder.request()->set_user_id("somebody with a long name");
  holder.request()->mutable_item_ids()->Resize(candidates, 1);
  holder.response()->mutable_scores()->Resize(candidates, 1.0f);
}

TEST(RankMessagesTest, MessagesAreEmptyWhoeverUsedTheirMemory) {
  RankMessages messages;
  for (int call = 0; call < 3; ++call) {
    Holder* holder = messages.AllocateMessages();
    EXPECT_EQ(holder->request()->ByteSizeLong(), 0);
    EXPECT_EQ(holder->response()->ByteSizeLong(), 0);
    EXPECT_EQ(holder->request()->GetArena(), holder->response()->GetArena());
    Fill(*holder, 100);
    holder->Release();
  }
  EXPECT_EQ(messages.idle(), 1);
}

TEST(RankMessagesTest, CallsAtATimeHaveMessagesOfTheirOwn) {
  RankMessages messages;
  std::vector<Holder*> holders;
  std::set<const void*> arenas;
  for (size_t i = 0; i < RankMessages::kMaxIdle + 5; ++i) {
    holders.push_back(messages.AllocateMessages());
    arenas.insert(holders.back()->request()->GetArena());
  }
  EXPECT_EQ(arenas.size(), holders.size());
  for (Holder* holder : holders) holder->Release();
  EXPECT_EQ(messages.idle(), RankMessages::kMaxIdle);
}

TEST(RankMessagesTest, ABlockGrowsToWhatACallNeeds) {
  RankMessages messages;
  Holder* first = messages.AllocateMessages();
  const uint64_t small = SpaceOf(*first);
  Fill(*first, 20'000);
  EXPECT_GT(SpaceOf(*first), small);
  first->Release();

  Holder* second = messages.AllocateMessages();
  const uint64_t before = SpaceOf(*second);
  Fill(*second, 20'000);
  EXPECT_EQ(SpaceOf(*second), before);
  second->Release();
}

TEST(RankMessagesTest, ABlockDoesNotOutgrowItsBound) {
  RankMessages messages;
  Holder* holder = messages.AllocateMessages();
  Fill(*holder, 1'000'000);
  holder->Release();
  holder = messages.AllocateMessages();
  EXPECT_LE(SpaceOf(*holder), RankMessages::kMaxBlockBytes);
  holder->Release();
}

}  // namespace
}  // namespace qlarank
