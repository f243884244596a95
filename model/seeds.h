// A model's virtual seeds and what candidates need to attend to their
// summaries: docs/model.md section 8. Immutable, shared by threads.
#ifndef QLARANK_MODEL_SEEDS_H_
#define QLARANK_MODEL_SEEDS_H_

#include <cstddef>
#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "model/aligned_vector.h"
#include "model/bundle.h"
#include "model/kernels.h"
#include "model/layer.h"
#include "model/matrix.h"
#include "model/user_summary.h"

namespace qlarank {

class Seeds {
 public:
  // Null for a model without seeds. `scoring`: the precision of Attend.
  // INTERNAL when oneDNN refuses a matrix.
  static absl::StatusOr<std::unique_ptr<const Seeds>> Create(
      const Bundle& bundle, Precision scoring);

  size_t num_seeds() const { return tokens_.size() / d_model_; }
  // Whether candidates attend to the summaries.
  bool attended() const { return w_q_ != nullptr; }

  // What enters the layers, [num_seeds, d_model].
  absl::Span<const float> tokens() const { return tokens_; }

  // Turns a tile of seeds' outputs, buffers.x, into the summaries of seeds
  // first ... first + rows - 1. REQUIRES: MakeRoom(summary) was called.
  void Conclude(size_t first, size_t rows, TileBuffers& buffers,
                MatrixScratch& scratch, UserSummary& summary) const;
  void MakeRoom(UserSummary& summary) const;

  // Adds to `rows` candidates of a tile, x, what they read of the summaries.
  // REQUIRES: attended().
  void Attend(size_t rows, const UserSummary& summary, float* x,
              TileBuffers& buffers, MatrixScratch& scratch) const;

  // Its matrices, for MatrixScratch.
  std::vector<const Matrix*> matrices() const;

 private:
  explicit Seeds(const Bundle& bundle);

  size_t d_model_;
  kernels::HeadShape heads_;
  AlignedVector<float> tokens_;
  absl::Span<const float> norm_summary_, norm_attn_;
  std::unique_ptr<const Matrix> w_q_, w_kv_, w_o_;  // or null
};

}  // namespace qlarank

#endif  // QLARANK_MODEL_SEEDS_H_
