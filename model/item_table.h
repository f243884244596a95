// What candidates need of their items: the embedding, 1 / max(||E||, 1e-12), the
// bias, and where there is room the item's share of the first layer's q, k, v
// and g (docs/model.md section 10). In memory of our own, on huge pages where
// the system gives them, with room behind the bundle's rows for those that are
// added; but float32 embeddings are an ItemEmbedding's.
//
// Where a catalogue is larger than memory, embeddings and shares lie in files,
// and the system keeps in memory the rows that are in demand.
//
// Where scores are in less than float32, so are embeddings and shares: in
// bfloat16.
#ifndef QLARANK_MODEL_ITEM_TABLE_H_
#define QLARANK_MODEL_ITEM_TABLE_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
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
  struct Options {
    Precision precision = Precision::kF32;
    // Shares are kept if those of the bundle's items take no more.
    size_t most_share_bytes = 0;
    size_t most_added_rows = 0;
    // Where to have Pages::InFile; empty: in memory.
    std::string folder = "";
  };
  // `first` is the first layer that candidates pass through, or null. All but
  // the bundle outlive the table. RESOURCE_EXHAUSTED where there is no room.
  static absl::StatusOr<std::unique_ptr<ItemTable>> Create(
      const Bundle& bundle, const Layer* first, const Options& options,
      ItemEmbedding& embedding);

  // What such a table takes in memory, in the precision in which it takes most;
  // and what of that cannot lie in a file.
  static uint64_t Bytes(const model::v1::ModelSpec& spec,
                        uint64_t most_share_bytes);
  static uint64_t ResidentBytes(const model::v1::ModelSpec& spec);
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
  ItemTable(const Layer* first, ItemEmbedding& embedding, size_t d_model)
      : d_model_(d_model), first_(first), embedding_(embedding) {}

  // Takes room for all rows, the bundle's and those that may be added.
  absl::Status TakeRoom(const Options& options, bool keeps_shares);
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
