// The causal depthwise convolution in front of W_qkvg (docs/model.md section 3)
// and what it keeps of one user: the last normalised inputs of every layer.
// Use by one thread.
#ifndef QLARANK_BENCH_ATTENTION_CONVOLUTION_H_
#define QLARANK_BENCH_ATTENTION_CONVOLUTION_H_

#include <cstddef>
#include <cstdint>

#include "bench/attention/parameters.h"
#include "model/aligned_vector.h"

namespace qlarank::bench::attention {

class Convolution {
 public:
  // `parameters` must outlive it.
  explicit Convolution(const Parameters& parameters);

  // Forgets the user.
  void Reset();

  // mixed = conv_0 n + sum_{i>=1} conv_i n_{-i} of consecutive events, whose
  // normalised inputs n [rows, d] are then kept.
  void MixEvents(size_t layer, size_t rows, const float* n, float* mixed);

  // Called once per request: what all candidates add.
  void BeginRanking();
  // The same for candidates that are to know nothing of the history.
  void BeginRankingWithoutHistory();
  // Norm and convolution of candidates x [rows, d]: each stands behind the
  // last event.
  void NormAndMixCandidates(size_t layer, size_t rows, const float* x,
                            float* mixed) const;

  // What has to be kept between requests, all layers.
  static constexpr uint64_t kBytesKept =
      kLayers * (kConvWidth - 1) * kWidth * sizeof(float);

 private:
  static constexpr size_t kWindowFloats = (kConvWidth - 1) * kWidth;

  const Parameters& parameters_;
  AlignedVector<float> windows_;  // [kLayers, kConvWidth - 1, d], newest first
  AlignedVector<float> shifts_;   // [kLayers, d]: sum_{i>=1} conv_i n_{-i}
};

}  // namespace qlarank::bench::attention

#endif  // QLARANK_BENCH_ATTENTION_CONVOLUTION_H_
