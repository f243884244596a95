#include "server/rank/rank_order.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

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

std::vector<uint32_t> TopByValue(absl::Span<const float> logits,
                                 absl::Span<const double> weights,
                                 size_t top_k,
                                 absl::Span<const uint32_t> removed) {
  const size_t num_tasks = weights.size();
  const size_t num_candidates = logits.size() / num_tasks;
  std::vector<double> values(num_candidates, 0);
  std::vector<uint32_t> order;
  order.reserve(num_candidates);
  const Value value(weights);
  for (size_t c = 0; c < num_candidates; ++c) {
    const float* row = logits.data() + c * num_tasks;
    if (!removed.empty() && removed.front() == c) {
      removed.remove_prefix(1);
      continue;
    }
    if (std::isnan(row[0])) continue;
    values[c] = value(row);
    order.push_back(c);
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

}  // namespace qlarank
