#include "cli/label_quality.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace qlarank {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

double Ratio(double part, double whole) {
  return whole > 0 ? part / whole : kNaN;
}

// Pairs of a 1 and a 0 of which the 1 is higher, of sorted predictions.
double PairsInOrder(const std::vector<LabelledLogit>& sorted) {
  double pairs = 0;
  double zeros_below = 0;
  for (auto begin = sorted.begin(); begin != sorted.end();) {
    auto end = std::find_if(begin, sorted.end(), [&](LabelledLogit other) {
      return other.logit != begin->logit;
    });
    const auto ones = static_cast<double>(std::count_if(
        begin, end, [](LabelledLogit tied) { return tied.label; }));
    const double zeros = static_cast<double>(end - begin) - ones;
    pairs += ones * (zeros_below + zeros / 2);
    zeros_below += zeros;
    begin = end;
  }
  return pairs;
}

// -log of the probability that a logit gives to what happened.
double LogLoss(LabelledLogit of) {
  const double wrong_by = of.label ? -of.logit : of.logit;
  return std::max(wrong_by, 0.0) + std::log1p(std::exp(-std::abs(wrong_by)));
}

double Probability(double logit) {
  return logit >= 0 ? 1 / (1 + std::exp(-logit))
                    : std::exp(logit) / (1 + std::exp(logit));
}

// Of always predicting the rate.
double Entropy(double rate) {
  if (rate <= 0 || rate >= 1) return 0;
  return -(rate * std::log(rate) + (1 - rate) * std::log1p(-rate));
}

}  // namespace

LabelQuality MeasureLabels(std::vector<LabelledLogit> predictions) {
  std::sort(predictions.begin(), predictions.end(),
            [](LabelledLogit a, LabelledLogit b) { return a.logit < b.logit; });
  double ones = 0;
  double loss = 0;
  double predicted = 0;
  for (const LabelledLogit& one : predictions) {
    ones += one.label ? 1 : 0;
    loss += LogLoss(one);
    predicted += Probability(one.logit);
  }
  const auto count = static_cast<double>(predictions.size());
  const double rate = Ratio(ones, count);
  return {.labels = predictions.size(),
          .rate = rate,
          .auc = Ratio(PairsInOrder(predictions), ones * (count - ones)),
          .normalised_entropy = Ratio(Ratio(loss, count), Entropy(rate)),
          .calibration = Ratio(predicted, ones)};
}

}  // namespace qlarank
