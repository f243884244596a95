// How the heads of a layer forget: constants of docs/model.md sections 3 and
// 10, computed once, in double.
#ifndef QLARANK_MODEL_HEAD_DECAYS_H_
#define QLARANK_MODEL_HEAD_DECAYS_H_

#include <vector>

#include "absl/types/span.h"
#include "model/kernels.h"

namespace qlarank {

class HeadDecays {
 public:
  // rates (lambda = exp(-rate)) and alpha, [num_heads].
  HeadDecays(absl::Span<const float> rates, absl::Span<const float> alpha)
      : rate_(Padded(rates)), alpha_(Padded(alpha)) {
    std::vector<double> losses(rate_.size());
    kernels::Losses(rate_.data(), rate_.size(), losses.data());
    loss_.assign(losses.begin(), losses.begin() + rates.size());
    for (const double loss : losses) {
      inverse_loss_.push_back(loss > 0 ? 1 / loss : 0);
    }
  }

  // 1 - lambda, [num_heads].
  const float* loss() const { return loss_.data(); }
  // Valid as long as this is.
  kernels::HeadDecay view() const {
    return {rate_.data(), inverse_loss_.data(), alpha_.data()};
  }
  // num_heads, padded.
  size_t padded_heads() const { return rate_.size(); }

 private:
  static std::vector<double> Padded(absl::Span<const float> values) {
    constexpr size_t kPadding = kernels::kHeadPadding;
    std::vector<double> padded(values.begin(), values.end());
    padded.resize((values.size() + kPadding - 1) / kPadding * kPadding);
    return padded;
  }

  std::vector<double> rate_, alpha_, inverse_loss_;
  std::vector<float> loss_;
};

}  // namespace qlarank

#endif  // QLARANK_MODEL_HEAD_DECAYS_H_
