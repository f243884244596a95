// A model that computes what is no number: nobody is given it as a score, a
// state or a summary.
#include <memory>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/server/rank/rank_pipeline_testing.h"
#include "tests/testing/failing_products.h"

namespace qlarank::testing {
namespace {

using ::testing::HasSubstr;

class NotFinitePipelineTest : public RankPipelineTest {
 protected:
  ~NotFinitePipelineTest() override { products_fail = false; }

  std::unique_ptr<Call> Rank(bool allow_partial) {
    auto call = NewCall(100, absl::InfiniteDuration());
    call->request.set_allow_partial(allow_partial);
    Start(*call);
    call->done.WaitForNotification();
    return call;
  }
};

TEST_F(NotFinitePipelineTest, NoScoreIsGiven) {
  for (const bool allow_partial : {false, true}) {
    products_fail = true;
    const auto call = Rank(allow_partial);
    EXPECT_EQ(call->status.code(), absl::StatusCode::kInternal)
        << call->status;
    EXPECT_THAT(std::string(call->status.message()),
                HasSubstr("gives scores that are not finite"));
    products_fail = false;
    EXPECT_TRUE(Rank(allow_partial)->status.ok());
  }
  EXPECT_EQ(metrics_.state.scores_not_finite.Value(), 2);
  EXPECT_EQ(metrics_.state.states_not_finite.Value(), 0);
}

// A user's events are in the log, and their state is not published until it can
// be computed.
TEST_F(NotFinitePipelineTest, NoStateIsFolded) {
  const UserMemory& memory = *model().memory;
  UserAppend append;
  append.user_id = "user";
  append.head_after.incarnation = 1;
  append.head_after.last_sequence = 2;  // the last one is pending
  for (uint64_t item = 1; item <= 2; ++item) {
    append.events.emplace_back().item_id = item;
  }
  ASSERT_TRUE(store_->AppendEvents({append}).ok());

  products_fail = true;
  const auto call = Rank(false);
  EXPECT_EQ(call->status.code(), absl::StatusCode::kInternal) << call->status;
  EXPECT_EQ(memory.Find("user")->known.folded_sequence(), 0);
  products_fail = false;
  EXPECT_TRUE(Rank(false)->status.ok());
  ASSERT_TRUE(partitions_->WaitUntilFolded(absl::Seconds(60)));
  EXPECT_EQ(memory.Find("user")->known.folded_sequence(), 2);
}

}  // namespace
}  // namespace qlarank::testing
