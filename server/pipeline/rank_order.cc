#include "server/pipeline/rank_order.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace qlarank {

std::vector<uint32_t> TopByValue(absl::Span<const float> logits,
                                 absl::Span<const double> weights,
                                 size_t top_k) {
  const size_t num_tasks = weights.size();
  const size_t num_candidates = logits.size() / num_tasks;
  std::vector<double> values(num_candidates, 0);
  std::vector<uint32_t> order;
  order.reserve(num_candidates);
  for (size_t c = 0; c < num_candidates; ++c) {
    const float* row = logits.data() + c * num_tasks;
    if (std::isnan(row[0])) continue;
    for (size_t t = 0; t < num_tasks; ++t) {
      values[c] += weights[t] / (1 + std::exp(-static_cast<double>(row[t])));
    }
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
