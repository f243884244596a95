// What candidates need of their items: the embedding, 1 / max(||E||, 1e-12), the
// bias, and where there is room the item's share of the first layer's q, k, v
// and g (docs/model.md section 10). In memory of our own, on huge pages where
// the system gives them, with room behind the bundle's rows for those that are
// added; but float32 embeddings are an ItemEmbedding's.
//
// Where scores are in less than float32, so are embeddings and shares: in
// bfloat16.
#ifndef QLARANK_MODEL_ITEM_TABLE_H_
#define QLARANK_MODEL_ITEM_TABLE_H_

#include <cstddef>
#include <cstdint>

#include "absl/types/span.h"
#include "model/bundle.h"
#include "model/item_embedding.h"
#include "model/kernels.h"
#include "model/layer.h"
#include "model/pages.h"
#include "model/precision.h"

namespace qlarank {

// Thread safety: one writer at a time; a row can be read once it is known.
class ItemTable {
 public:
  // `first` is the first layer that candidates pass through, or null; shares
  // are kept if those of the bundle's items take at most `most_share_bytes`.
  // All but the bundle outlive the table.
  ItemTable(const Bundle& bundle, Precision precision, const Layer* first,
            size_t most_share_bytes, size_t most_added_rows,
            ItemEmbedding& embedding);

  // What such a table takes in memory, in the precision in which it takes most.
  static uint64_t Bytes(const model::v1::ModelSpec& spec,
                        uint64_t most_share_bytes);
  // What as many added rows take beside it, their ItemEmbedding counted.
  static uint64_t AddedBytes(const model::v1::ModelSpec& spec,
                             uint64_t most_added_rows,
                             uint64_t most_share_bytes);

  // Writes all that there is to know of an added row, and its embedding.
  void Put(uint32_t row, absl::Span<const float> embedding, float bias);

  kernels::ItemRows known() const { return known_; }

  // 1 / max(||E||, 1e-12) and the bias.
  struct Terms {
    float inverse_norm;
    float bias;
  };
  Terms& terms(uint32_t row) const {
    return reinterpret_cast<Terms*>(terms_.data())[row];
  }

 private:
  // Write what is made of the embeddings of rows from `row` on.
  void PutLower(size_t row, absl::Span<const float> embedding);
  void PutShares(size_t row, absl::Span<const float> embedding);
  void PutTerms(size_t row, absl::Span<const float> embedding,
                absl::Span<const float> biases);

  size_t d_model_;
  const Layer* first_;
  ItemEmbedding& embedding_;
  kernels::ItemRows known_;
  Pages terms_;
  Pages lower_, shares_;  // or none
};

}  // namespace qlarank

#endif  // QLARANK_MODEL_ITEM_TABLE_H_
