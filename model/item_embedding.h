// Items' embeddings in float32, [rows, d_model], in two parts: the bundle's,
// where they lie in the file that was read, and those of items that were added,
// for which room is reserved and taken from memory as they come.
//
// Thread safety: one writer at a time; a row can be read once it is known.
#ifndef QLARANK_MODEL_ITEM_EMBEDDING_H_
#define QLARANK_MODEL_ITEM_EMBEDDING_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "absl/types/span.h"
#include "model/bundle.h"
#include "model/pages.h"

namespace qlarank {

class ItemEmbedding {
 public:
  // The bundle outlives this.
  ItemEmbedding(const Bundle& bundle, size_t most_added_rows)
      : d_model_(bundle.spec().d_model()),
        of_bundle_(bundle.tensor("item_embedding")),
        first_added_(of_bundle_.size() / d_model_),
        added_(AllocatePages(most_added_rows * d_model_ * sizeof(float))) {}

  absl::Span<const float> of_bundle() const { return of_bundle_; }
  // The row behind the bundle's, and where it is.
  size_t first_added() const { return first_added_; }
  float* added() const { return reinterpret_cast<float*>(added_.data()); }

  const float* row(uint32_t row) const {
    return row < first_added_ ? of_bundle_.data() + row * d_model_
                              : added() + (row - first_added_) * d_model_;
  }
  // Writes an added row.
  void Put(uint32_t row, absl::Span<const float> values) {
    std::copy(values.begin(), values.end(),
              added() + (row - first_added_) * d_model_);
  }

 private:
  size_t d_model_;
  absl::Span<const float> of_bundle_;
  size_t first_added_;
  Pages added_;
};

}  // namespace qlarank

#endif  // QLARANK_MODEL_ITEM_EMBEDDING_H_
