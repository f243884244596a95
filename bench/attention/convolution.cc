#include "bench/attention/convolution.h"

#include <algorithm>

#include "model/kernels.h"

namespace qlarank::bench::attention {

Convolution::Convolution(const Parameters& parameters)
    : parameters_(parameters),
      windows_(kLayers * kWindowFloats),
      shifts_(kLayers * kWidth) {}

void Convolution::Reset() { std::fill(windows_.begin(), windows_.end(), 0.0f); }

void Convolution::MixEvents(size_t layer, size_t rows, const float* n,
                            float* mixed) {
  const float* conv = parameters_.layers[layer].conv.data();
  float* const window = windows_.data() + layer * kWindowFloats;
  for (size_t row = 0; row < rows; ++row) {
    kernels::MixWindow(conv, n + row * kWidth, window, kConvWidth, kWidth,
                       window, mixed + row * kWidth);
  }
}

void Convolution::BeginRankingWithoutHistory() {
  std::fill(shifts_.begin(), shifts_.end(), 0.0f);
}

void Convolution::BeginRanking() {
  BeginRankingWithoutHistory();
  for (size_t layer = 0; layer < kLayers; ++layer) {
    const float* conv = parameters_.layers[layer].conv.data();
    const float* window = windows_.data() + layer * kWindowFloats;
    for (size_t i = kConvWidth - 1; i > 0; --i) {
      kernels::MultiplyAdd(conv + i * kWidth, window + (i - 1) * kWidth, kWidth,
                           shifts_.data() + layer * kWidth);
    }
  }
}

void Convolution::NormAndMixCandidates(size_t layer, size_t rows,
                                       const float* x, float* mixed) const {
  const LayerParameters& parameters = parameters_.layers[layer];
  kernels::RmsNormScaleShift(
      x, parameters.norm_attn.data(), parameters.conv.data(),
      shifts_.data() + layer * kWidth, rows, kWidth, mixed);
}

}  // namespace qlarank::bench::attention
