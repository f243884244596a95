#include "server/compare/offline_comparison.h"

#include <filesystem>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/server/compare/comparison_testing.h"

namespace qlarank::testing {
namespace {

using ::testing::HasSubstr;

class OfflineComparisonTest : public ComparisonTest {
 protected:
  OfflineComparison Compare(const OfflineOptions& options = {}) {
    auto comparison =
        CompareOffline(Model(1), Model(2), path_, *store_, options);
    EXPECT_TRUE(comparison.ok()) << comparison.status();
    return *std::move(comparison);
  }
};

TEST_F(OfflineComparisonTest, ABundleIsAsItself) {
  Append("ann", 1, 20);
  for (uint64_t n = 0; n < 12; ++n) RankAt("ann", 20, n);
  Records(12);
  const auto first = LoadToCompare(options_.models[0].path, *store_);
  const auto again = LoadToCompare(options_.models[0].path, *store_);
  ASSERT_TRUE(first.ok()) << first.status();
  ASSERT_TRUE(again.ok()) << again.status();
  const auto comparison =
      CompareOffline(*first, *again, path_, *store_, OfflineOptions());
  ASSERT_TRUE(comparison.ok()) << comparison.status();
  EXPECT_EQ(comparison->compared(), 12);
  for (const auto& [task, sums] : comparison->difference.by_task) {
    EXPECT_EQ(sums.rank_distance, 0);
    EXPECT_EQ(sums.top_10_overlap, sums.requests);
    EXPECT_EQ(sums.top_k_overlap, sums.top_k_requests);
    EXPECT_EQ(sums.served_score, sums.shadow_score);
  }
}

// An item that no bundle has, in users' logs and among candidates.
TEST_F(OfflineComparisonTest, KnowsTheItemsThatCameWhileServing) {
  constexpr uint64_t kNew = 1'000'003;
  v1::UpsertItemsRequest upsert;
  upsert.set_model_name("m");
  upsert.set_model_version(1);
  v1::UpsertedItem& item = *upsert.add_items();
  item.set_item_id(kNew);
  for (uint32_t i = 0; i < bundle().spec().d_model(); ++i) {
    item.add_embedding(.1f * static_cast<float>(i % 7) - .3f);
  }
  v1::UpsertItemsResponse upserted;
  absl::Status status;
  absl::Notification done;
  pipeline_->items().Start(upsert, upserted, [&](absl::Status result) {
    status = std::move(result);
    done.Notify();
  });
  done.WaitForNotification();
  ASSERT_TRUE(status.ok()) << status;

  v1::AppendEventsRequest append = MakeAppend(bundle(), "ann", 1, 20);
  for (int i = 0; i < 20; i += 3) {
    append.mutable_events(i)->mutable_event()->set_item_id(kNew);
  }
  absl::Notification appended;
  pipeline_->ingest().Append(append, absl::Now(), {},
                             IngestPipeline::OnFull::kRefuse,
                             [&](AppendResult) { appended.Notify(); });
  appended.WaitForNotification();
  v1::RankRequest request = RequestOf(bundle(), "ann", 4);
  request.set_item_ids(3, kNew);
  request.set_min_event_count(20);
  request.set_max_events_behind(0);
  Rank(request);
  const v1::LoggedRequest record = Records(1)[0];

  const auto model = LoadToCompare(options_.models[0].path, *store_);
  ASSERT_TRUE(model.ok()) << model.status();
  // The bundle has a name of its own, and its embedding is this model's.
  Rescorer rescorer(*model, *store_);
  const auto always = [] { return true; };
  KnownState state;
  CandidateScores scores;
  ASSERT_EQ(rescorer.BringState(record, {}, always, state), Outcome::kCompared);
  ASSERT_EQ(rescorer.Score(record, *state.state, always, scores),
            Outcome::kCompared);
  EXPECT_FALSE(scores.unknown[3]);
  EXPECT_EQ(scores.logits, ScoresOf(record).logits);
}

TEST_F(OfflineComparisonTest, CountsWhatItLeavesOutAndWhy) {
  for (const char* user : {"ann", "bob", "carl"}) {
    Append(user, 1, 20);
    RankAt(user, 20, 2);
  }
  RankAt("nobody", 0, 2);
  Records(4);
  // The log keeps its requests where the store alone forgets somebody.
  ASSERT_TRUE(store_->DeleteUser("bob").ok());
  std::vector<uint64_t> progress;
  OfflineOptions options;
  double share = 0;
  options.on_progress = [&](double read, uint64_t requests) {
    EXPECT_GT(read, share);
    share = read;
    progress.push_back(requests);
  };
  const OfflineComparison comparison = Compare(options);
  EXPECT_EQ(comparison.requests,
            (std::map<Outcome, uint64_t>{{Outcome::kCompared, 3},
                                         {Outcome::kErased, 1}}));
  EXPECT_EQ(progress, (std::vector<uint64_t>{1, 2, 3, 4}));
  EXPECT_EQ(share, 1);
}

TEST_F(OfflineComparisonTest, TakesTheRequestsOfOneModel) {
  RankAt("ann", 0, 0);
  Records(1);
  OfflineOptions options;
  options.model_name = "other";
  EXPECT_TRUE(Compare(options).requests.empty());
  options.model_name = "m";
  EXPECT_EQ(Compare(options).compared(), 1);
}

TEST_F(OfflineComparisonTest, WantsARequestLogAndBundles) {
  const auto none = CompareOffline(Model(1), Model(2), second_.folder(),
                                   *store_, OfflineOptions());
  ASSERT_FALSE(none.ok());
  EXPECT_THAT(std::string(none.status().message()),
              HasSubstr("not the folder of a request log"));
  const auto bundle = LoadToCompare(path_, *store_);
  ASSERT_FALSE(bundle.ok());
  EXPECT_THAT(std::string(bundle.status().message()), HasSubstr(path_));
}

}  // namespace
}  // namespace qlarank::testing
