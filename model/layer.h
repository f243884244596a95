// One layer's weights, packed, and its forward pass over a tile: docs/model.md
// section 3. Events and candidates differ only in what they read and in that
// events are folded.
#ifndef QLARANK_MODEL_LAYER_H_
#define QLARANK_MODEL_LAYER_H_

#include <cstddef>
#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "model/aligned_vector.h"
#include "model/bundle.h"
#include "model/gemm.h"
#include "model/kernels.h"
#include "model/state_layout.h"

namespace qlarank {

// A tile's intermediate rows; x is the only one that lives between layers.
struct TileBuffers {
  TileBuffers(size_t d_model, size_t ffn_width);

  AlignedVector<float> x;         // [kTileRows, d_model]
  AlignedVector<float> normed;    // [kTileRows, d_model]
  AlignedVector<float> mixed;     // [kTileRows, d_model], after convolution
  AlignedVector<float> qkvg;      // [kTileRows, 4 d_model]
  AlignedVector<float> attended;  // [kTileRows, d_model]
  AlignedVector<float> pr;        // [kTileRows, 2 ffn_width]
  AlignedVector<float> gated;     // [kTileRows, ffn_width]
};

// What candidates of one request read in one layer.
struct LayerReadout {
  AlignedVector<float> matrix;      // phi2(alpha Z / max(c, 1)), as Z
  AlignedVector<float> conv_shift;  // sum_{i>=1} conv_i n_{-i}, [d_model]
};

// Immutable, shared by threads.
class Layer {
 public:
  // `index` counts from 0; num_layers names the dedicated block. `scoring`:
  // the precision of ForwardCandidates.
  static absl::StatusOr<std::unique_ptr<const Layer>> Create(
      const Bundle& bundle, size_t index, Precision scoring);

  // Passes `rows` events through the layer and folds them: states[i] is row i's
  // UserState::values, updated. Rows of one user are consecutive events, the
  // oldest first: each reads the state that the rows before it left.
  // buffers.x in and out.
  void ForwardEvents(size_t rows, float* const* states, TileBuffers& buffers,
                     GemmScratch& gemm) const;

  // The same where nobody reads the events' outputs: only folds them. buffers.x
  // is kept.
  void FoldEvents(size_t rows, float* const* states, TileBuffers& buffers,
                  GemmScratch& gemm) const;

  // Derives what candidates read from a state's values.
  LayerReadout MakeReadout(const float* state) const;

  // Passes `rows` candidates of a tile through in the scoring precision: x
  // [rows, d_model] in and out. The tile's rows beyond must be finite.
  void ForwardCandidates(size_t rows, const LayerReadout& readout, float* x,
                         TileBuffers& buffers, GemmScratch& gemm) const {
    ForwardTile(scoring_, rows, readout, x, buffers, gemm);
  }
  // The same for seeds: always in float32, as what they give is kept.
  void ForwardSeeds(size_t rows, const LayerReadout& readout, float* x,
                    TileBuffers& buffers, GemmScratch& gemm) const {
    ForwardTile(exact_, rows, readout, x, buffers, gemm);
  }

  // Its matrices, for GemmScratch and the self-check.
  std::vector<const PackedMatrix*> matrices() const;

 private:
  Layer(const Bundle& bundle, size_t index);

  // The layer's matrices in one precision.
  struct Products {
    const PackedMatrix *w_qkvg, *w_o, *w_12, *w_3;
  };

  absl::StatusOr<Products> Pack(const Bundle& bundle, Precision precision);
  bool has_window() const { return !conv_.empty(); }
  // The rows that the matrix products take: normed, and mixed with the window
  // where there is one.
  const float* NormAndMix(size_t rows, float* const* states,
                          TileBuffers& buffers) const;
  void MixEvent(size_t row, float* state, TileBuffers& buffers) const;
  void ForwardTile(const Products& products, size_t rows,
                   const LayerReadout& readout, float* x, TileBuffers& buffers,
                   GemmScratch& gemm) const;
  void FeedForward(const Products& products, size_t rows, float* x,
                   TileBuffers& buffers, GemmScratch& gemm) const;

  size_t index_;
  size_t d_model_;
  size_t ffn_width_;
  size_t conv_width_;
  bool silu_phi2_;
  kernels::HeadShape heads_;
  StateLayout layout_;

  absl::Span<const float> norm_attn_, norm_head_, norm_ffn_;
  absl::Span<const float> conv_;  // [conv_width, d_model] or empty
  absl::Span<const float> alpha_, beta_;
  std::vector<float> decay_;  // lambda

  std::vector<std::unique_ptr<const PackedMatrix>> packed_;
  Products exact_ = {};    // float32: events and seeds
  Products scoring_ = {};  // candidates; the same where that is float32
  const PackedMatrix* w_kv_ = nullptr;
};

}  // namespace qlarank

#endif  // QLARANK_MODEL_LAYER_H_
