// From a tile's items to what their first layer makes of them.
//
// A candidate's token is its item's row, scaled, and what all candidates of a
// request have in common. RMSNorm divides it by one number, so that q, k, v and
// g are that number times a sum of shares: the item's, known once the model is
// loaded and kept in the ItemTable where there is room; the request's, made once
// a reading; and its features'. The same bits whether shares are kept or not.
#ifndef QLARANK_MODEL_CANDIDATE_INPUTS_H_
#define QLARANK_MODEL_CANDIDATE_INPUTS_H_

#include <cstddef>
#include <cstdint>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "model/aligned_vector.h"
#include "model/bundle.h"
#include "model/item_table.h"
#include "model/layer.h"
#include "model/matrix.h"

namespace qlarank {

// rows [n], features row-major [n, candidate features]; n at most
// Matrix::kMostRows. facts: of each what the user's item memory has of it,
// [facts], or null; null where nobody has any.
struct CandidateTile {
  absl::Span<const uint32_t> rows;
  const float* features;
  const float* const* facts;
};

// Immutable, shared by threads.
class CandidateInputs {
 public:
  // first: the first layer that candidates pass through, which outlives this,
  // or null. items: likewise.
  CandidateInputs(const Bundle& bundle, const Layer* first,
                  const ItemTable& items);

  // <user, E_item> of each, dots [rows], where no token is made of them.
  void Dots(absl::Span<const uint32_t> rows, const float* user,
            float* dots) const;

  // The tokens x [rows, d_model], and the dots. shared: what they have in
  // common, [d_model].
  void Tokens(const CandidateTile& tile, const float* shared, const float* user,
              float* x, float* dots) const;

  // The first layer's readout.shared, once the rest of it is made.
  void ShareReadout(const float* shared, LayerReadout& readout,
                    TileBuffers& buffers, MatrixScratch& scratch) const;

  // q, k, v and g of the first layer into buffers.qkvg; x: Tokens.
  void MakeQkvg(const CandidateTile& tile, const LayerReadout& readout,
                const float* x, TileBuffers& buffers,
                MatrixScratch& scratch) const;

 private:
  // A matrix whose columns join the tokens, each times a number of the
  // candidate's.
  struct Columns {
    size_t count = 0;
    AlignedVector<float> tokens;  // [count, d_model]
    AlignedVector<float> shares;  // [count, 4 d_model], of the first layer
  };
  // None where the bundle has no such tensor.
  Columns ColumnsOf(const Bundle& bundle, absl::string_view name) const;

  size_t d_model_;
  float item_scale_;  // sqrt(d)
  const Layer* first_;
  const ItemTable& items_;
  Columns features_;  // W_cand
  Columns facts_;     // of the item memory
};

}  // namespace qlarank

#endif  // QLARANK_MODEL_CANDIDATE_INPUTS_H_
