// The model around the compared mechanisms, the same for all: tokens through
// kLayers of norm, convolution, projection, attention, gated feed-forward, then
// a score (docs/model.md section 3). Matrix products are the engine's
// (model/matrix.h).
//
// Holds one user's history. Use by one thread.
#ifndef QLARANK_BENCH_ATTENTION_TRUNK_H_
#define QLARANK_BENCH_ATTENTION_TRUNK_H_

#include <cstdint>
#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "bench/attention/convolution.h"
#include "bench/attention/mechanism.h"
#include "bench/attention/parameters.h"
#include "bench/attention/summaries.h"
#include "model/aligned_vector.h"
#include "model/matrix.h"

namespace qlarank::bench::attention {

class Trunk {
 public:
  // Packs random weights. INTERNAL when oneDNN refuses.
  static absl::StatusOr<std::unique_ptr<Trunk>> Create(
      const MechanismKind& kind, uint32_t seed);

  // Forgets the history.
  void Reset();

  // Appends events with the given tokens [times.size(), d], in tiles. When
  // `scores` is not null it gets what each event's output scores, as if it had
  // been a candidate.
  void Append(absl::Span<const float> tokens, absl::Span<const EventTime> times,
              float* scores = nullptr);

  // Scores candidates with the given tokens [scores.size(), d].
  void Rank(absl::Span<const float> tokens, int64_t request_time_us,
            absl::Span<float> scores);

  // What has to be kept of the user between requests, in bytes, all layers.
  uint64_t BytesKept() const {
    return mechanism_->BytesKept() + Convolution::kBytesKept;
  }
  const Parameters& parameters() const { return parameters_; }

 private:
  struct Layer {
    std::unique_ptr<const Matrix> projection, w_o, w_12, w_3;
  };

  Trunk(const MechanismKind& kind, uint32_t seed);
  absl::Status PackWeights();

  // Norm, convolution and projection of the `rows` tokens in x_.
  Rows ProjectEvents(size_t layer, size_t rows);
  Rows ProjectCandidates(size_t layer, size_t rows);

  // Passes the `rows` tokens at `tokens` through all layers; attend(layer,
  // rows) is the mechanism's part.
  template <typename Attend>
  void Forward(const float* tokens, size_t rows,
               Rows (Trunk::*project)(size_t, size_t), Attend attend);
  void MakeSummaries();
  void Score(size_t rows, float* scores);

  const MechanismKind kind_;
  const Parameters parameters_;
  std::vector<Layer> layers_;
  MatrixScratch scratch_{{}};  // float32 needs nothing of it
  Convolution convolution_;
  std::unique_ptr<Mechanism> mechanism_;
  std::unique_ptr<Summaries> summaries_;  // null where there are no seeds

  // One tile.
  AlignedVector<float> x_, normed_, mixed_, attended_;  // [kTileRows, d]
  AlignedVector<float> projected_;  // [kTileRows, 4 d + extra]
  AlignedVector<float> gated_;      // [kTileRows, F]
};

}  // namespace qlarank::bench::attention

#endif  // QLARANK_BENCH_ATTENTION_TRUNK_H_
