#include "bench/attention/leakage.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>
#include <random>

#include "bench/attention/history.h"
#include "bench/attention/shape.h"

namespace qlarank::bench::attention {
namespace {

constexpr size_t kCandidates = 100;

double StandardDeviation(absl::Span<const float> values) {
  double sum = 0, squares = 0;
  for (double value : values) {
    sum += value;
    squares += value * value;
  }
  const double mean = sum / values.size();
  return std::sqrt(squares / values.size() - mean * mean);
}

class Comparison {
 public:
  explicit Comparison(const RankFunction& rank)
      : rank_(rank),
        tokens_(RandomTokens(kCandidates, /*seed=*/11)),
        others_(RandomTokens(kCandidates, /*seed=*/12)),
        scores_(rank(tokens_)),
        deviation_(StandardDeviation(scores_)) {}

  // Ranks again: place i of the request holds candidate `order[i]`, or a
  // stranger where that is kCandidates or more.
  void RankAs(absl::Span<const size_t> order) {
    std::vector<float> tokens;
    for (size_t candidate : order) {
      const bool stranger = candidate >= kCandidates;
      const auto token = (stranger ? others_ : tokens_).begin() +
                         candidate % kCandidates * kWidth;
      tokens.insert(tokens.end(), token, token + kWidth);
    }
    const std::vector<float> scores = rank_(tokens);
    for (size_t i = 0; i < order.size(); ++i) {
      if (order[i] < kCandidates) Compare(scores_[order[i]], scores[i]);
    }
  }

  const Leakage& result() const { return leakage_; }

 private:
  void Compare(float before, float after) {
    // Bits: 0 differs from -0.
    if (std::memcmp(&before, &after, sizeof(before)) != 0) {
      leakage_.bitwise_equal = false;
    }
    leakage_.largest_move =
        std::max(leakage_.largest_move, std::abs(after - before) / deviation_);
  }

  const RankFunction& rank_;
  const std::vector<float> tokens_, others_, scores_;
  const double deviation_;
  Leakage leakage_;
};

std::vector<size_t> Range(size_t count) {
  std::vector<size_t> order(count);
  std::iota(order.begin(), order.end(), 0);
  return order;
}

}  // namespace

Leakage MeasureLeakage(const RankFunction& rank) {
  Comparison comparison(rank);
  for (size_t candidate : {0, 1, 50, 99}) {
    comparison.RankAs({candidate});
  }
  for (size_t count : {3, 17, 64}) comparison.RankAs(Range(count));
  comparison.RankAs(Range(2 * kCandidates));
  std::vector<size_t> order = Range(kCandidates);
  std::reverse(order.begin(), order.end());
  comparison.RankAs(order);
  std::shuffle(order.begin(), order.end(), std::mt19937(13));
  comparison.RankAs(order);
  // Every second one is replaced.
  order = Range(kCandidates);
  for (size_t i = 0; i < kCandidates; i += 2) order[i] += kCandidates;
  comparison.RankAs(order);
  return comparison.result();
}

}  // namespace qlarank::bench::attention
