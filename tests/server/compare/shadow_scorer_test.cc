#include "server/compare/shadow_scorer.h"

#include <atomic>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "gtest/gtest.h"
#include "server/compare/offline_comparison.h"
#include "tests/server/compare/comparison_testing.h"

namespace qlarank::testing {
namespace {

class ShadowScorerTest : public ComparisonTest {
 protected:
  void SetShadow(uint64_t version, double sample) {
    LabelsOfModels labels;
    labels["m"].shadow = {"", version, sample};
    pipeline_->models().Replace(
        pipeline_->models().Current()->WithLabels(std::move(labels)));
  }
  double Count(const std::string& result) {
    return Metric("qlarank_shadow_requests_total", {{"result", result}});
  }
  void Await(const std::string& result, double count) {
    for (int i = 0; i < 3000 && Count(result) < count; ++i) {
      absl::SleepFor(absl::Milliseconds(10));
    }
    EXPECT_EQ(Count(result), count) << result;
  }
};

TEST_F(ShadowScorerTest, SaysWhatTheRequestLogSaysLater) {
  SetShadow(2, 1);
  uint64_t n = 0;
  for (uint64_t events = 1; events <= 90; events += 9, ++n) {
    Append("ann", n == 0 ? 1 : events - 8, events);
    RankAt("ann", events, n);
    RankAt("nobody", 0, n);
  }
  Await("compared", 2 * static_cast<double>(n));
  Records(2 * n);
  const auto offline =
      CompareOffline(Model(1), Model(2), path_, *store_, OfflineOptions());
  ASSERT_TRUE(offline.ok()) << offline.status();
  EXPECT_EQ(offline->requests,
            (std::map<Outcome, uint64_t>{{Outcome::kCompared, 2 * n}}));
  EXPECT_EQ(offline->difference.by_task.size(), 4);  // three tasks, the value
  for (const auto& [name, sums] : offline->difference.by_task) {
    const auto live = [&, task = name](const std::string& metric,
                                       prometheus::Labels more = {}) {
      prometheus::Labels labels = {{"model", "m"},
                                   {"version", "1"},
                                   {"shadow_version", "2"},
                                   {"task", task}};
      labels.insert(more.begin(), more.end());
      return Metric("qlarank_shadow_" + metric + "_total", labels);
    };
    EXPECT_EQ(live("compared"), sums.requests);
    EXPECT_EQ(live("ordered"), sums.ordered_requests);
    EXPECT_EQ(live("rank_distance"), sums.rank_distance);
    EXPECT_GT(sums.rank_distance, 0);
    EXPECT_EQ(live("top_10_overlap"), sums.top_10_overlap);
    EXPECT_EQ(live("top_k_requests"), sums.top_k_requests);
    EXPECT_EQ(live("top_k_overlap"), sums.top_k_overlap);
    EXPECT_EQ(live("scores", {{"of", "served"}}), sums.served_score);
    EXPECT_EQ(live("scores", {{"of", "shadow"}}), sums.shadow_score);
  }
  EXPECT_EQ(Metric("qlarank_shadow_candidates_total"),
            offline->difference.candidates.all);
}

TEST_F(ShadowScorerTest, ScoresTheSampleOfOthersRequests) {
  SetShadow(2, .5);
  Append("ann", 1, 3);
  v1::RankRequest request = RequestOf(bundle(), "ann", 0);
  double sampled = 0;
  const RequestSample sample(.5);
  for (int i = 0; i < 40; ++i) {
    request.set_request_id(absl::StrCat(i));
    sampled += sample.Has(request, 0);
    Rank(request);
  }
  EXPECT_GT(sampled, 5);
  EXPECT_LT(sampled, 35);
  Await("compared", sampled);
  // Its own are no comparison.
  SetShadow(2, 1);
  request.set_model_version(2);
  Rank(request);
  SetShadow(1, 1);
  Rank(request);
  Await("compared", sampled + 1);
  EXPECT_EQ(Metric("qlarank_shadow_requests_total",
                   {{"version", "2"}, {"shadow_version", "2"}}),
            0);
}

TEST_F(ShadowScorerTest, LeavesOutWhoWasErasedAndVersionsThatAreNotServed) {
  SetShadow(3, 1);
  Append("ann", 1, 3);
  RankAt("ann", 3, 0);
  Await("given_up", 1);
}

// A worker that is held, another job that waits for it, and a scorer of its own.
class BusyShadowTest : public ShadowScorerTest {
 protected:
  static constexpr size_t kQueueBytes = 256 << 10;

  class Job final : public TileJob {
   public:
    explicit Job(absl::Notification* release) : release_(release) {}
    Step Prepare(size_t) override {
      if (release_ != nullptr) release_->WaitForNotification();
      return Step::kEnd;
    }
    void RunUnit(size_t, size_t) override {}
    void Finish(size_t, size_t) override {}

   private:
    absl::Notification* const release_;
  };

  BusyShadowTest() {
    Append("ann", 1, 50);
    RankAt("ann", 50, 2);
    record_ = Records(1)[0];
    for (absl::Notification* release : {&release_, (absl::Notification*){}}) {
      scheduler_.Submit(std::make_shared<Job>(release), 1, absl::Now(),
                        absl::InfiniteFuture(), absl::Seconds(1));
    }
    EXPECT_GT(scheduler_.backlog(), absl::ZeroDuration());
    scorer_.emplace(ShadowScorer::Parts{queue_, pipeline_->models(),
                                        pipeline_->states(), *store_,
                                        scheduler_, metrics_.shadow});
  }
  ~BusyShadowTest() override {
    if (!release_.HasBeenNotified()) release_.Notify();
  }

  bool Offer() {
    auto task = queue_.Copy(record_, record_.request(), record_.response(), 2);
    if (task == nullptr) return false;
    queue_.Put(std::move(task));
    return true;
  }

  v1::LoggedRequest record_;
  ShadowQueue queue_{metrics_.shadow, kQueueBytes};
  absl::Notification release_;
  TileScheduler scheduler_{1};
  std::optional<ShadowScorer> scorer_;
};

TEST_F(BusyShadowTest, WaitsBehindEveryRequestAndDropsWhatThereIsNoRoomFor) {
  double taken = 0;
  while (taken < 10'000 && Offer()) ++taken;
  EXPECT_GT(taken, 10);
  EXPECT_LE(taken * static_cast<double>(record_.ByteSizeLong()), kQueueBytes);
  EXPECT_FALSE(Offer());
  EXPECT_EQ(Count("queue_full"), 2);
  absl::SleepFor(absl::Milliseconds(100));
  EXPECT_EQ(Count("compared"), 0);
  release_.Notify();
  Await("compared", taken);
  EXPECT_TRUE(Offer());
  Await("compared", taken + 1);
}

TEST_F(BusyShadowTest, CountsEachRequestOnceHoweverManyOfferThem) {
  constexpr int kThreads = 4, kOffers = 100;
  release_.Notify();
  std::atomic<int> refused = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&] {
      for (int n = 0; n < kOffers; ++n) refused += !Offer();
    });
  }
  for (std::thread& thread : threads) thread.join();
  Await("compared", kThreads * kOffers - refused);
  EXPECT_EQ(Count("queue_full"), refused);
}

TEST_F(BusyShadowTest, LetsGoOfAVersionThatIsUnloaded) {
  for (int i = 0; i < 10; ++i) ASSERT_TRUE(Offer());
  absl::SleepFor(absl::Milliseconds(20));
  const auto registry = pipeline_->models().Current();
  pipeline_->models().Replace(registry->Without(*Model(2)));
  Await("given_up", 10);
  EXPECT_EQ(Count("compared"), 0);
}

TEST_F(BusyShadowTest, EndsThoughRequestsWait) {
  ASSERT_TRUE(Offer());
  scorer_.reset();
  EXPECT_EQ(Count("compared"), 0);
}

TEST_F(BusyShadowTest, LeavesOutWhoWasErasedMeanwhile) {
  ASSERT_TRUE(Offer());
  ASSERT_EQ(Erase("ann"), 50);
  release_.Notify();
  Await("erased", 1);
}

}  // namespace
}  // namespace qlarank::testing
