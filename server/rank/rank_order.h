// The order of candidates by value: sum over tasks of weight * sigmoid(logit).
#ifndef QLARANK_SERVER_RANK_RANK_ORDER_H_
#define QLARANK_SERVER_RANK_RANK_ORDER_H_

#include <cstdint>
#include <vector>

#include "absl/types/span.h"

namespace qlarank {

// Indexes of the `top_k` candidates of highest value, best first; ties keep
// their order. `logits` is row-major [candidates, weights]; a candidate whose
// logits are NaN was not scored and is left out, and so are those of `removed`,
// indexes that rise.
std::vector<uint32_t> TopByValue(absl::Span<const float> logits,
                                 absl::Span<const double> weights,
                                 size_t top_k,
                                 absl::Span<const uint32_t> removed = {});

}  // namespace qlarank

#endif  // QLARANK_SERVER_RANK_RANK_ORDER_H_
