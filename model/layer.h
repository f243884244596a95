// One layer's weights, packed, and its forward pass over a tile: docs/model.md
// section 3. Events and candidates differ only in what they read and in that
// events are folded.
#ifndef QLARANK_MODEL_LAYER_H_
#define QLARANK_MODEL_LAYER_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "absl/status/statusor.h"
#include "model/aligned_vector.h"
#include "model/bundle.h"
#include "model/head_decays.h"
#include "model/kernels.h"
#include "model/matrix.h"
#include "model/state_layout.h"

namespace qlarank {

// A tile's intermediate rows; x is the only one that lives between layers.
struct TileBuffers {
  TileBuffers(size_t d_model, size_t num_heads, size_t ffn_width);

  AlignedVector<float> x;         // [kTileRows, d_model]
  AlignedVector<float> normed;    // [kTileRows, d_model]
  AlignedVector<float> mixed;     // [kTileRows, d_model], after convolution
  AlignedVector<float> qkvg;      // [kTileRows, 4 d_model]
  AlignedVector<float> attended;  // [kTileRows, d_model]
  AlignedVector<float> gated;     // [kTileRows, ffn_width]
  AlignedVector<float> scales;    // [num_heads], padded: of one row
};

// What candidates of one request read in one layer.
struct LayerReadout {
  AlignedVector<float> matrix;      // phi2(alpha Z / max(c, 1)), as Z
  AlignedVector<float> conv_shift;  // sum_{i>=1} conv_i n_{-i}, [d_model]
  // Of the first layer alone: what q, k, v and g of all candidates have in
  // common (CandidateInputs::ShareReadout), [2, 4 d_model].
  AlignedVector<float> shared;
};

// The state that a row of events is folded into: UserState::values before it
// and after it, which may be the same place. All of `after` is written.
struct FoldRow {
  const float* before;
  float* after;
  uint64_t folded;  // events folded into it before this one
};

// Immutable, shared by threads.
class Layer {
 public:
  // `index` counts from 0; num_layers names the dedicated block. `scoring`:
  // the precision of ForwardCandidates.
  static absl::StatusOr<std::unique_ptr<const Layer>> Create(
      const Bundle& bundle, size_t index, Precision scoring);

  // Passes `rows` events through the layer and folds them. Rows of one user are
  // consecutive events, the oldest first: each reads the state that the rows
  // before it left. buffers.x in and out.
  void ForwardEvents(size_t rows, const FoldRow* fold_rows,
                     TileBuffers& buffers, MatrixScratch& scratch) const;

  // The same where nobody reads the events' outputs: only folds them. buffers.x
  // is kept.
  void FoldEvents(size_t rows, const FoldRow* fold_rows,
                  TileBuffers& buffers) const;

  // Derives what candidates read from a state's values, into which `folded`
  // events were folded.
  LayerReadout MakeReadout(const float* state, uint64_t folded) const;

  // Passes `rows` candidates of a tile through in the scoring precision: x
  // [rows, d_model] in and out.
  void ForwardCandidates(size_t rows, const LayerReadout& readout, float* x,
                         TileBuffers& buffers, MatrixScratch& scratch) const {
    MakeQkvg(scoring_, rows, readout, x, buffers, scratch);
    Finish(scoring_, rows, readout, x, buffers, scratch);
  }
  // The same where buffers.qkvg holds q, k, v and g (CandidateInputs::MakeQkvg).
  void FinishCandidates(size_t rows, const LayerReadout& readout, float* x,
                        TileBuffers& buffers, MatrixScratch& scratch) const {
    Finish(scoring_, rows, readout, x, buffers, scratch);
  }
  // The same for seeds: always in float32, as what they give is kept.
  void ForwardSeeds(size_t rows, const LayerReadout& readout, float* x,
                    TileBuffers& buffers, MatrixScratch& scratch) const {
    MakeQkvg(exact_, rows, readout, x, buffers, scratch);
    Finish(exact_, rows, readout, x, buffers, scratch);
  }

  // What a candidate's normalised token is multiplied by before W_qkvg:
  // norm_attn * conv_0, [d_model].
  const AlignedVector<float>& token_scale() const { return token_scale_; }
  // W_qkvg in float32, and in the scoring precision.
  const Matrix& exact_w_qkvg() const { return *exact_.w_qkvg; }
  const Matrix& scoring_w_qkvg() const { return *scoring_.w_qkvg; }

  // Its matrices, for MatrixScratch.
  std::vector<const Matrix*> matrices() const;

 private:
  Layer(const Bundle& bundle, size_t index);

  // The layer's matrices in one precision.
  struct Products {
    const Matrix *w_qkvg, *w_o, *w_12, *w_3;
  };

  absl::StatusOr<Products> Pack(const Bundle& bundle, Precision precision);
  bool has_window() const { return !conv_.empty(); }
  // The rows that the matrix products take: normed, and mixed with the window
  // where there is one.
  const float* NormAndMix(size_t rows, const FoldRow* fold_rows,
                          TileBuffers& buffers) const;
  // q, k, v and g of rows that read `readout`, from x into buffers.qkvg; and
  // what follows, x in and out.
  void MakeQkvg(const Products& products, size_t rows,
                const LayerReadout& readout, const float* x,
                TileBuffers& buffers, MatrixScratch& scratch) const;
  void Finish(const Products& products, size_t rows,
              const LayerReadout& readout, float* x, TileBuffers& buffers,
              MatrixScratch& scratch) const;
  void FeedForward(const Products& products, size_t rows, float* x,
                   TileBuffers& buffers, MatrixScratch& scratch) const;

  size_t index_;
  size_t d_model_;
  size_t ffn_width_;
  size_t conv_width_;
  bool silu_phi2_;
  kernels::HeadShape heads_;
  StateLayout layout_;

  absl::Span<const float> norm_attn_, norm_head_, norm_ffn_;
  absl::Span<const float> conv_;  // [conv_width, d_model] or empty
  AlignedVector<float> token_scale_;
  absl::Span<const float> beta_;
  std::optional<HeadDecays> decays_;  // set by Create

  std::vector<std::unique_ptr<const Matrix>> packed_;
  Products exact_ = {};    // float32: events and seeds
  Products scoring_ = {};  // candidates; the same where that is float32
};

}  // namespace qlarank

#endif  // QLARANK_MODEL_LAYER_H_
