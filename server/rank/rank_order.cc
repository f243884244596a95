#include "server/rank/rank_order.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace qlarank {
namespace {

// What candidates are ordered by, from their logits [tasks].
class Value {
 public:
  explicit Value(absl::Span<const double> weights) : weights_(weights) {
    // One task alone is ordered by its logit: far from 0, different logits
    // have the same sigmoid.
    const auto counts = [](double weight) { return weight != 0; };
    if (std::count_if(weights.begin(), weights.end(), counts) == 1) {
      only_ = std::find_if(weights.begin(), weights.end(), counts) -
              weights.begin();
    }
  }

  double operator()(const float* logits) const {
    if (only_ < weights_.size()) return weights_[only_] * logits[only_];
    double value = 0;
    for (size_t t = 0; t < weights_.size(); ++t) {
      value += weights_[t] / (1 + std::exp(-static_cast<double>(logits[t])));
    }
    return value;
  }

 private:
  absl::Span<const double> weights_;
  size_t only_ = std::numeric_limits<size_t>::max();
};

}  // namespace

std::vector<double> ValuesOf(absl::Span<const float> logits,
                             absl::Span<const double> weights) {
  const size_t num_tasks = weights.size();
  const Value value(weights);
  std::vector<double> values;
  values.reserve(logits.size() / num_tasks);
  for (size_t at = 0; at < logits.size(); at += num_tasks) {
    const float* row = logits.data() + at;
    values.push_back(std::isnan(row[0])
                         ? std::numeric_limits<double>::quiet_NaN()
                         : value(row));
  }
  return values;
}

std::vector<uint32_t> TopOf(absl::Span<const double> values, size_t top_k) {
  std::vector<uint32_t> order;
  order.reserve(values.size());
  for (size_t c = 0; c < values.size(); ++c) {
    if (!std::isnan(values[c])) order.push_back(c);
  }
  const size_t k = std::min(top_k, order.size());
  std::partial_sort(order.begin(), order.begin() + k, order.end(),
                    [&](uint32_t a, uint32_t b) {
                      return values[a] != values[b] ? values[a] > values[b]
                                                    : a < b;
                    });
  order.resize(k);
  return order;
}

std::vector<uint32_t> TopByValue(absl::Span<const float> logits,
                                 absl::Span<const double> weights,
                                 size_t top_k,
                                 absl::Span<const uint32_t> removed) {
  std::vector<double> values = ValuesOf(logits, weights);
  for (const uint32_t c : removed) {
    values[c] = std::numeric_limits<double>::quiet_NaN();
  }
  return TopOf(values, top_k);
}

}  // namespace qlarank
