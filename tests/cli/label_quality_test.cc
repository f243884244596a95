#include "cli/label_quality.h"

#include <cmath>
#include <random>
#include <vector>

#include "gtest/gtest.h"

namespace qlarank {
namespace {

// Chances are of all pairs, one by one.
double AucByPairs(const std::vector<LabelledLogit>& predictions) {
  double sum = 0;
  double pairs = 0;
  for (LabelledLogit one : predictions) {
    for (LabelledLogit zero : predictions) {
      if (!one.label || zero.label) continue;
      pairs += 1;
      sum += one.logit > zero.logit    ? 1
             : one.logit == zero.logit ? 0.5
                                       : 0;
    }
  }
  return sum / pairs;
}

double Loss(double probability, bool label) {
  return -std::log(label ? probability : 1 - probability);
}

TEST(LabelQualityTest, IsThatOfAllPairsAndProbabilities) {
  std::mt19937 random(5);
  for (int round = 0; round < 20; ++round) {
    // Few different logits, so that most have ties.
    std::uniform_int_distribution<int> of_four(-2, 2 + round);
    std::vector<LabelledLogit> predictions;
    for (int i = 0; i < 100; ++i) {
      const float logit = static_cast<float>(of_four(random)) / 2;
      const bool label =
          std::bernoulli_distribution(1 / (1 + std::exp(-logit)))(random);
      predictions.push_back({logit, label});
    }
    double ones = 0;
    double predicted = 0;
    double loss = 0;
    for (LabelledLogit one : predictions) {
      const double probability = 1 / (1 + std::exp(-double{one.logit}));
      ones += one.label ? 1 : 0;
      predicted += probability;
      loss += Loss(probability, one.label);
    }
    double loss_of_rate = 0;
    for (LabelledLogit one : predictions) {
      loss_of_rate += Loss(ones / 100, one.label);
    }

    const LabelQuality quality = MeasureLabels(predictions);
    EXPECT_EQ(quality.labels, 100U);
    EXPECT_DOUBLE_EQ(quality.rate, ones / 100);
    EXPECT_NEAR(quality.auc, AucByPairs(predictions), 1e-12);
    EXPECT_NEAR(quality.normalised_entropy, loss / loss_of_rate, 1e-12);
    EXPECT_NEAR(quality.calibration, predicted / ones, 1e-12);
  }
}

TEST(LabelQualityTest, ATieCountsForHalf) {
  EXPECT_EQ(MeasureLabels({{1, true}, {1, false}}).auc, 0.5);
  EXPECT_EQ(MeasureLabels({{2, true}, {1, true}, {1, false}}).auc, 0.75);
  EXPECT_EQ(MeasureLabels({{0.0F, true}, {-0.0F, false}}).auc, 0.5);
}

TEST(LabelQualityTest, LargeLogitsHaveALoss) {
  // All wrong: 1,000 each, of which the mean rate has ln 2.
  const LabelQuality wrong = MeasureLabels({{-1'000, true}, {1'000, false}});
  EXPECT_DOUBLE_EQ(wrong.normalised_entropy, 1'000 / std::log(2));
  EXPECT_EQ(wrong.auc, 0);
  EXPECT_EQ(wrong.calibration, 1);
  const LabelQuality right = MeasureLabels({{1'000, true}, {-1'000, false}});
  EXPECT_EQ(right.normalised_entropy, 0);
  EXPECT_EQ(right.auc, 1);
}

TEST(LabelQualityTest, WhatIsNotDefinedIsNaN) {
  const LabelQuality none = MeasureLabels({});
  EXPECT_EQ(none.labels, 0U);
  EXPECT_TRUE(std::isnan(none.rate));
  EXPECT_TRUE(std::isnan(none.auc));
  EXPECT_TRUE(std::isnan(none.normalised_entropy));
  EXPECT_TRUE(std::isnan(none.calibration));
  const LabelQuality ones = MeasureLabels({{0, true}, {0, true}});
  EXPECT_TRUE(std::isnan(ones.auc));
  EXPECT_TRUE(std::isnan(ones.normalised_entropy));
  EXPECT_EQ(ones.calibration, 0.5);
  const LabelQuality zeros = MeasureLabels({{0, false}});
  EXPECT_TRUE(std::isnan(zeros.auc));
  EXPECT_TRUE(std::isnan(zeros.calibration));
}

}  // namespace
}  // namespace qlarank
