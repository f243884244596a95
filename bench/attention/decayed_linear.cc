// Linear attention that forgets: linear.cc with QLA's decay per head, in the
// sum and in what it is divided by.

#include <array>
#include <memory>
#include <vector>

#include "bench/attention/mechanism.h"
#include "bench/attention/normalized_state.h"
#include "model/head_decays.h"

namespace qlarank::bench::attention {
namespace {

class DecayedLinear : public Mechanism {
 public:
  explicit DecayedLinear(const Parameters& parameters)
      : parameters_(parameters) {
    for (const LayerParameters& layer : parameters.layers) {
      decays_.emplace_back(layer.decay_rate, layer.alpha);
    }
  }

  void Append(size_t layer, const Rows& rows, absl::Span<const EventTime>,
              float* attended) override {
    NormalizedState& own = states_[layer];
    const float* loss = decays_[layer].loss();
    for (size_t row = 0; row < rows.count; ++row) {
      const Rows one{rows.q(row), rows.stride, 1};
      own.Read(one, attended + row * kWidth);
      own.DecayAndFold(one, loss);
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
  std::vector<HeadDecays> decays_;  // by layer
  std::array<NormalizedState, kLayers> states_;
};

}  // namespace

std::unique_ptr<Mechanism> MakeDecayedLinear(const Parameters& parameters) {
  return std::make_unique<DecayedLinear>(parameters);
}

}  // namespace qlarank::bench::attention
