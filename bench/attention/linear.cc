// Linear attention with a positive kernel, phi = elu + 1, normalised by the
// sum of its weights: one matrix and one vector per head. Without decay, and
// with QLA's decay per head in the sum and in what it is divided by.

#include <array>
#include <memory>
#include <vector>

#include "bench/attention/mechanism.h"
#include "bench/attention/normalized_state.h"
#include "model/head_decays.h"

namespace qlarank::bench::attention {
namespace {

class Linear : public Mechanism {
 public:
  Linear(const Parameters& parameters, bool decays) : parameters_(parameters) {
    if (!decays) return;
    for (const LayerParameters& layer : parameters.layers) {
      decays_.emplace_back(layer.decay_rate, layer.alpha);
    }
  }

  void Append(size_t layer, const Rows& rows, absl::Span<const EventTime>,
              float* attended) override {
    NormalizedState& own = states_[layer];
    for (size_t row = 0; row < rows.count; ++row) {
      const Rows one{rows.q(row), rows.stride, 1};
      own.Read(one, attended + row * kWidth);
      if (decays_.empty()) {
        own.Fold(one);
      } else {
        own.DecayAndFold(one, decays_[layer].loss());
      }
    }
    Finish(layer, rows, attended);
  }

  void BeginRanking(int64_t) override {}

  void Attend(size_t layer, const Rows& rows, float* attended) override {
    states_[layer].Read(rows, attended);
    Finish(layer, rows, attended);
  }

  uint64_t BytesKept() const override { return sizeof(states_); }

 private:
  void Finish(size_t layer, const Rows& rows, float* attended) const {
    NormAndGate(rows, attended, parameters_.layers[layer].norm_head.data(),
                attended);
  }

  const Parameters& parameters_;
  std::vector<HeadDecays> decays_;  // by layer; none without decay
  std::array<NormalizedState, kLayers> states_;
};

}  // namespace

std::unique_ptr<Mechanism> MakeLinear(const Parameters& parameters) {
  return std::make_unique<Linear>(parameters, /*decays=*/false);
}

std::unique_ptr<Mechanism> MakeDecayedLinear(const Parameters& parameters) {
  return std::make_unique<Linear>(parameters, /*decays=*/true);
}

}  // namespace qlarank::bench::attention
