// What candidates need of their items: the embedding, 1 / max(||E||, 1e-12), the
// bias, and where there is room the item's share of the first layer's q, k, v
// and g (docs/model.md section 10). In memory of our own, on huge pages where
// the system gives them; but float32 embeddings are the bundle's.
//
// Where scores are in less than float32, so are embeddings and shares: in
// bfloat16.
#ifndef QLARANK_MODEL_ITEM_TABLE_H_
#define QLARANK_MODEL_ITEM_TABLE_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/types/span.h"
#include "model/bundle.h"
#include "model/kernels.h"
#include "model/layer.h"
#include "model/pages.h"
#include "model/precision.h"

namespace qlarank {

// Immutable, shared by threads.
class ItemTable {
 public:
  // `first` is the first layer that candidates pass through, or null; shares
  // are kept if all of them take at most `most_share_bytes`. The bundle outlives
  // the table.
  ItemTable(const Bundle& bundle, Precision precision, const Layer* first,
            size_t most_share_bytes);

  // What such a table takes in memory, in the precision in which it takes most.
  static uint64_t Bytes(const model::v1::ModelSpec& spec,
                        uint64_t most_share_bytes);

  kernels::ItemRows known() const { return known_; }

  // 1 / max(||E||, 1e-12) and the bias.
  struct Terms {
    float inverse_norm;
    float bias;
  };
  const Terms& terms(uint32_t row) const { return terms_[row]; }

 private:
  void MakeShares(absl::Span<const float> embedding, const Layer& first);

  kernels::ItemRows known_;
  std::vector<Terms> terms_;
  Pages embedding_, shares_;  // or none
};

}  // namespace qlarank

#endif  // QLARANK_MODEL_ITEM_TABLE_H_
