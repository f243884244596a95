// Models that come while the server serves take their memory from the budget.
#include "server/rollout/model_memory.h"

#include <algorithm>
#include <string>

#include "absl/strings/str_cat.h"
#include "config/memory_plan.h"
#include "gtest/gtest.h"
#include "server/models/bundle_bytes.h"
#include "tests/server/rollout/expect_refused.h"
#include "tests/server/rollout/model_rollout_testing.h"

namespace qlarank::testing {
namespace {

class ModelMemoryTest : public ModelRolloutTest {
 protected:
  // Room for so many bytes of models beside the least cache.
  void StartWithRoom(uint64_t bytes) {
    options_.memory.budget_bytes = uint64_t{1} << 40;  // was divided already
    options_.store.user_cache_bytes = kLeastUserCacheBytes + bytes;
    Start();
    ASSERT_TRUE(start_.ok()) << start_;
  }
  // What one of the versions takes.
  uint64_t Each() const {
    ModelOptions model = options_.models[0];
    model.path = base() + "/m/2";
    return BundleBytes(model) + ProcessBytesOfModel(options_.ingest);
  }
  // One of each user from `first` to before `last`.
  void AppendFirstEvents(int first, int last) {
    const auto bundle = LoadGolden(options_.models[0]);
    v1::AppendEventsRequest request;
    request.set_source("test");
    for (int i = first; i < last; ++i) {
      AddEvent(*bundle, absl::StrCat("user-", i), 1, request);
    }
    absl::Notification appended;
    pipeline_->ingest().Append(request, absl::Now(), {},
                               IngestPipeline::OnFull::kWait,
                               [&](const AppendResult& result) {
                                 EXPECT_TRUE(result.status.ok())
                                     << result.status;
                                 appended.Notify();
                               });
    appended.WaitForNotification();
  }
  uint64_t taken() const {
    return pipeline_->rollout().memory_taken().total_bytes();
  }
};

TEST_F(ModelMemoryTest, IsTakenAndGivenBack) {
  StartWithRoom(2 * Each() - 1);
  ASSERT_TRUE(Load(2).ok());
  EXPECT_EQ(taken(), Each());
  ExpectRefused(Load(3), absl::StatusCode::kFailedPrecondition,
                "memory.budget_bytes: the model takes ");
  EXPECT_EQ(Listed(), "1 SERVING, 2 SERVING, 3 FAILED");
  EXPECT_EQ(taken(), Each());
  ASSERT_TRUE(Unload(2).ok());
  EXPECT_EQ(taken(), 0);
  ASSERT_TRUE(Load(3).ok());
  EXPECT_EQ(taken(), Each());
}

TEST_F(ModelMemoryTest, WhatFailsTakesNone) {
  StartWithRoom(2 * Each());
  ASSERT_FALSE(Load(4).ok());
  EXPECT_EQ(taken(), 0);
  store_.before_append = [](absl::Span<const UserAppend>) {
    return absl::UnavailableError("the disk is full");
  };
  ASSERT_FALSE(Load(2).ok());
  EXPECT_EQ(taken(), 0);
  store_.before_append = nullptr;
}

TEST_F(ModelMemoryTest, IsTakenAgainAfterARestart) {
  StartWithRoom(2 * Each());
  ASSERT_TRUE(Load(2).ok());
  Start();
  ASSERT_TRUE(start_.ok()) << start_;
  EXPECT_EQ(taken(), Each());
  // There is less of it now.
  options_.store.user_cache_bytes = kLeastUserCacheBytes;
  Start();
  ASSERT_TRUE(start_.ok()) << start_;
  EXPECT_EQ(Listed(), "1 SERVING, 2 FAILED");
}

TEST_F(ModelMemoryTest, TheUserCacheGivesIt) {
  StartWithRoom(Each());
  Append("user", 3);
  // Many more states than there will be room for.
  const auto state_bytes = metrics_.state.cached_state_bytes.Value();
  const int users = 1.5 * kLeastUserCacheBytes / state_bytes;
  for (int first = 0; first < users; first += 5000) {
    AppendFirstEvents(first, std::min(first + 5000, users));
  }
  ASSERT_TRUE(pipeline_->WaitUntilFolded(absl::Seconds(60)));
  EXPECT_GT(metrics_.state.cached_state_bytes.Value(), kLeastUserCacheBytes);
  ASSERT_TRUE(Load(2).ok());
  EXPECT_LE(metrics_.state.cached_state_bytes.Value(), kLeastUserCacheBytes);
}

TEST_F(ModelMemoryTest, WithoutABudgetNothingIsTaken) {
  ASSERT_TRUE(Load(2).ok());
  EXPECT_EQ(taken(), 0);
}

}  // namespace
}  // namespace qlarank::testing
