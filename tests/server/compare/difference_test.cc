#include "server/compare/difference.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <numeric>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"

namespace qlarank::testing {
namespace {

using Values = std::vector<double>;

// One task, or two.
CandidateScores Scored(std::vector<std::string> tasks,
                       std::vector<float> logits) {
  CandidateScores scores;
  scores.value_weights.resize(tasks.size(), 1);
  scores.unknown.resize(logits.size() / tasks.size());
  scores.tasks = std::move(tasks);
  scores.logits = std::move(logits);
  return scores;
}

// What difference.h says, as plainly as it can be computed.

// Each value's rank from 1; of equal ones, the mean of theirs.
std::vector<long double> PlainRanks(const Values& values) {
  std::vector<long double> ranks;
  for (const double value : values) {
    const auto less = std::count_if(values.begin(), values.end(),
                                    [&](double other) { return other < value; });
    const auto equal = std::count(values.begin(), values.end(), value);
    ranks.push_back(static_cast<long double>(less) +
                    static_cast<long double>(equal + 1) / 2);
  }
  return ranks;
}

// Pearson's, of ranks.
long double PlainCorrelation(const Values& first, const Values& second) {
  const auto a = PlainRanks(first), b = PlainRanks(second);
  const auto n = static_cast<long double>(a.size());
  const long double mean_a = std::accumulate(a.begin(), a.end(), 0.0L) / n;
  const long double mean_b = std::accumulate(b.begin(), b.end(), 0.0L) / n;
  long double ab = 0, aa = 0, bb = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    ab += (a[i] - mean_a) * (b[i] - mean_b);
    aa += (a[i] - mean_a) * (a[i] - mean_a);
    bb += (b[i] - mean_b) * (b[i] - mean_b);
  }
  return ab / std::sqrt(aa * bb);
}

// Candidates are chosen one by one, of equal ones the first.
std::set<size_t> PlainTop(const std::vector<float>& logits, size_t k) {
  std::set<size_t> top;
  while (top.size() < std::min(k, logits.size())) {
    size_t best = logits.size();
    for (size_t i = 0; i < logits.size(); ++i) {
      if (top.contains(i)) continue;
      if (best == logits.size() || logits[i] > logits[best]) best = i;
    }
    top.insert(best);
  }
  return top;
}

double PlainOverlap(const std::vector<float>& first,
                    const std::vector<float>& second, size_t k) {
  const auto a = PlainTop(first, k), b = PlainTop(second, k);
  std::vector<size_t> both;
  std::set_intersection(a.begin(), a.end(), b.begin(), b.end(),
                        std::back_inserter(both));
  return static_cast<double>(both.size()) / static_cast<double>(a.size());
}

double PlainMeanScore(const std::vector<float>& logits) {
  long double sum = 0;
  for (const float logit : logits) {
    sum += 1 / (1 + std::exp(-static_cast<long double>(logit)));
  }
  return static_cast<double>(sum / static_cast<long double>(logits.size()));
}

// So few different ones that many are equal.
std::vector<float> RandomLogits(size_t count, uint32_t different,
                                std::mt19937& random) {
  std::vector<float> logits(count);
  for (float& logit : logits) {
    logit = static_cast<float>(random() % different) / 3 - 2;
  }
  return logits;
}

TEST(RankDistanceTest, IsThatOfRanks) {
  EXPECT_EQ(RankDistance({1, 2, 3}, {-5, 0, 700}), 0);
  EXPECT_EQ(RankDistance({1, 2, 3}, {3, 2, 1}), 2);
  // By hand: 1 - 6 * (1 + 1) / (4 * 15).
  EXPECT_NEAR(RankDistance({1, 2, 3, 4}, {2, 1, 3, 4}), .2, 1e-15);
  // Ranks 1, 2.5, 2.5, 4 and 1, 2, 3, 4: 4.5 of the root of 4.5 * 5.
  EXPECT_NEAR(RankDistance({1, 2, 2, 4}, {1, 2, 3, 4}),
              1 - 4.5 / std::sqrt(4.5 * 5), 1e-15);
}

TEST(RankDistanceTest, IsThatOfMeanRanksWhateverIsEqual) {
  std::mt19937 random(7);
  for (int i = 0; i < 300; ++i) {
    const size_t count = 2 + random() % 60;
    const auto a = RandomLogits(count, 2 + i % 40, random);
    const auto b = RandomLogits(count, 2 + i % 7, random);
    const Values first(a.begin(), a.end()), second(b.begin(), b.end());
    const auto correlation =
        static_cast<double>(PlainCorrelation(first, second));
    const double distance = RankDistance(first, second);
    ASSERT_EQ(std::isnan(distance), std::isnan(correlation)) << i;
    if (!std::isnan(distance)) {
      ASSERT_NEAR(distance, 1 - correlation, 1e-14) << i;
    }
  }
}

TEST(RankDistanceTest, IsNotDefinedWithoutAnOrder) {
  EXPECT_TRUE(std::isnan(RankDistance({1}, {2})));
  EXPECT_TRUE(std::isnan(RankDistance({1, 1}, {1, 2})));
  EXPECT_TRUE(std::isnan(RankDistance({1, 2}, {1, 1})));
}

TEST(RankDistanceTest, OfTheSameIsExactly0) {
  std::mt19937 random(7);
  for (int n = 2; n < 3000; n += 97) {
    Values values(n);
    for (double& value : values) value = static_cast<double>(random() % 500);
    if (RankDistance(values, values) != 0) ADD_FAILURE() << n;
  }
}

TEST(DifferenceTest, OfTheSameIsNone) {
  const CandidateScores scores =
      Scored({"click", "buy"}, {1, 2, 5, -3, 0, 7});
  const Difference difference = Compare(scores, scores, 2);
  ASSERT_EQ(difference.by_task.size(), 3u);
  for (const auto& [task, sums] : difference.by_task) {
    EXPECT_EQ(sums.requests, 1);
    EXPECT_EQ(sums.ordered_requests, 1);
    EXPECT_EQ(sums.rank_distance, 0);
    EXPECT_EQ(sums.top_10_overlap, 1);
    EXPECT_EQ(sums.top_k_requests, 1);
    EXPECT_EQ(sums.top_k_overlap, 1);
    EXPECT_EQ(sums.served_score, sums.shadow_score);
  }
  EXPECT_EQ(difference.candidates, (ShadowCandidateSums{3, 0, 0}));
}

TEST(DifferenceTest, CountsWhatBothHaveAtTheTop) {
  std::vector<float> up(20), down(20);
  for (int i = 0; i < 20; ++i) {
    up[i] = static_cast<float>(i);
    // The best 4 of the one are the best of the other, too.
    down[i] = static_cast<float>(i < 16 ? -i : 100 + i);
  }
  const Difference difference =
      Compare(Scored({"click"}, up), Scored({"click"}, down), 5);
  const ShadowTaskSums& sums = difference.by_task.at("click");
  EXPECT_NEAR(sums.top_10_overlap, .4, 1e-9);
  EXPECT_NEAR(sums.top_k_overlap, .8, 1e-9);
  EXPECT_EQ(Compare(Scored({"click"}, up), Scored({"click"}, down), 0)
                .by_task.at("click")
                .top_k_requests,
            0);
}

TEST(DifferenceTest, IsThatOfAPlainReferenceWhateverIsEqual) {
  std::mt19937 random(7);
  for (int i = 0; i < 300; ++i) {
    const size_t count = 1 + random() % 40;
    const uint32_t top_k = 1 + random() % 15;
    const auto first = RandomLogits(count, 2 + i % 40, random);
    const auto second = RandomLogits(count, 2 + i % 7, random);
    const ShadowTaskSums sums =
        Compare(Scored({"click"}, first), Scored({"click"}, second), top_k)
            .by_task.at("click");
    ASSERT_NEAR(sums.top_10_overlap, PlainOverlap(first, second, 10), 1e-9);
    ASSERT_NEAR(sums.top_k_overlap, PlainOverlap(first, second, top_k), 1e-9);
    ASSERT_NEAR(sums.served_score, PlainMeanScore(first), 1e-9);
    ASSERT_NEAR(sums.shadow_score, PlainMeanScore(second), 1e-9);
  }
}

TEST(DifferenceTest, HasTheMeanScoresOfTasksAlone) {
  const Difference difference =
      Compare(Scored({"click"}, {0, 0}), Scored({"click"}, {0, 100}), 0);
  EXPECT_EQ(difference.by_task.at("click").served_score, .5);
  EXPECT_EQ(difference.by_task.at("click").shadow_score, .75);
  EXPECT_EQ(difference.by_task.at("click").ordered_requests, 0);
  const ShadowTaskSums& value = difference.by_task.at(Difference::kByValue);
  EXPECT_EQ(value.served_score, 0);
  EXPECT_EQ(value.shadow_score, 0);
}

TEST(DifferenceTest, IsOfTheTasksThatBothHave) {
  const CandidateScores first = Scored({"click", "buy"}, {1, 2, 3, 4});
  const CandidateScores second = Scored({"buy"}, {8, 9});
  const Difference difference = Compare(first, second, 0);
  ASSERT_EQ(difference.by_task.size(), 1u);
  EXPECT_EQ(difference.by_task.at("buy").rank_distance, 0);
  EXPECT_TRUE(Compare(first, Scored({"like"}, {8, 9}), 0).by_task.empty());
}

TEST(DifferenceTest, OrdersByTheWeightedValue) {
  CandidateScores first = Scored({"click", "buy"}, {3, 1, 1, 3});
  CandidateScores second = first;
  first.value_weights = {1, .1};
  second.value_weights = {.1, 1};
  const Difference difference = Compare(first, second, 1);
  EXPECT_EQ(difference.by_task.at("click").rank_distance, 0);
  EXPECT_EQ(difference.by_task.at(Difference::kByValue).rank_distance, 2);
  EXPECT_EQ(difference.by_task.at(Difference::kByValue).top_k_overlap, 0);
}

TEST(DifferenceTest, CountsWhatOneAloneDoesNotKnow) {
  CandidateScores first = Scored({"click"}, {1, 2, 3, 4, 5, 6});
  CandidateScores second = first;
  first.unknown = {true, true, false, false, false, false};
  second.unknown = {true, false, true, true, true, false};
  EXPECT_EQ(Compare(first, second, 0).candidates,
            (ShadowCandidateSums{6, 1, 3}));
}

TEST(DifferenceTest, AddsUpToTheSameInAnyOrder) {
  std::mt19937 random(7);
  std::vector<Difference> differences;
  for (int i = 0; i < 1000; ++i) {
    std::vector<float> first(13), second(13);
    for (float& logit : first) logit = static_cast<float>(random() % 997) / 97;
    for (float& logit : second) logit = static_cast<float>(random() % 997) / 97;
    differences.push_back(Compare(Scored({"click"}, first),
                                  Scored({"click"}, second), 3));
  }
  const auto sum = [&] {
    Difference all;
    for (const Difference& one : differences) all.Add(one);
    return all.by_task.at("click");
  };
  const ShadowTaskSums in_order = sum();
  std::shuffle(differences.begin(), differences.end(), random);
  EXPECT_EQ(sum(), in_order);
  EXPECT_EQ(in_order.requests, 1000);
}

}  // namespace
}  // namespace qlarank::testing
