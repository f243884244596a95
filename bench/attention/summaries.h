// Summaries of one user and how candidates attend to them: docs/model.md
// section 8, on the engine's kernel. (model/seeds.h does the same from a
// bundle.) Use by one thread.
#ifndef QLARANK_BENCH_ATTENTION_SUMMARIES_H_
#define QLARANK_BENCH_ATTENTION_SUMMARIES_H_

#include <memory>

#include "absl/status/statusor.h"
#include "bench/attention/parameters.h"
#include "model/aligned_vector.h"
#include "model/matrix.h"

namespace qlarank::bench::attention {

class Summaries {
 public:
  // Packs the weights; `parameters` must outlive it. INTERNAL when a matrix
  // cannot be made.
  static absl::StatusOr<std::unique_ptr<Summaries>> Create(
      const SeedParameters& parameters);

  // Makes the summaries of x [kSeeds, d], seeds after their last layer.
  void Make(const float* x);

  // Adds to `rows` candidates of a tile, x, what they read of the summaries:
  //   x += W_o softmax(<q, k_m> / sqrt(d_h)) v,  q = W_q RMSNorm(x)
  void Attend(size_t rows, float* x);

 private:
  explicit Summaries(const SeedParameters& parameters);

  const SeedParameters& parameters_;
  std::unique_ptr<const Matrix> w_q_, w_kv_, w_o_;
  MatrixScratch scratch_{{}};  // float32 needs nothing of it

  AlignedVector<float> keys_;    // [H, d_h, kSeeds]
  AlignedVector<float> values_;  // [H, kSeeds, d_h]
  // One tile.
  AlignedVector<float> normed_, q_, attended_;  // [kTileRows, d]
  AlignedVector<float> kv_;                     // [kSeeds, 2 d]
};

}  // namespace qlarank::bench::attention

#endif  // QLARANK_BENCH_ATTENTION_SUMMARIES_H_
