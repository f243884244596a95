// The order of candidates by value: sum over tasks of weight * sigmoid(logit).
#ifndef QLARANK_SERVER_RANK_RANK_ORDER_H_
#define QLARANK_SERVER_RANK_RANK_ORDER_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/types/span.h"

namespace qlarank {

// What each candidate is ordered by, from row-major logits [candidates, weights].
// Where one task alone counts, that is its weighted logit: far from 0, different
// logits have the same sigmoid. NaN for a candidate whose logits are: it was not
// scored.
std::vector<double> ValuesOf(absl::Span<const float> logits,
                             absl::Span<const double> weights);

// Indexes of the `top_k` highest values, best first; ties keep their order, and
// NaN is left out.
std::vector<uint32_t> TopOf(absl::Span<const double> values, size_t top_k);

// Of candidates, without those of `removed`, which are indexes.
std::vector<uint32_t> TopByValue(absl::Span<const float> logits,
                                 absl::Span<const double> weights,
                                 size_t top_k,
                                 absl::Span<const uint32_t> removed = {});

}  // namespace qlarank

#endif  // QLARANK_SERVER_RANK_RANK_ORDER_H_
