// Linear attention with a positive kernel, phi = elu + 1, normalised by the
// sum of its weights: one matrix and one vector per head, without decay.

#include <array>
#include <memory>

#include "bench/attention/mechanism.h"
#include "bench/attention/normalized_state.h"

namespace qlarank::bench::attention {
namespace {

class Linear : public Mechanism {
 public:
  explicit Linear(const Parameters& parameters) : parameters_(parameters) {}

  void Append(size_t layer, const Rows& rows, absl::Span<const EventTime>,
              float* attended) override {
    NormalizedState& own = states_[layer];
    for (size_t row = 0; row < rows.count; ++row) {
      const Rows one{rows.q(row), rows.stride, 1};
      own.Read(one, attended + row * kWidth);
      own.Fold(one);
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
  std::array<NormalizedState, kLayers> states_;
};

}  // namespace

std::unique_ptr<Mechanism> MakeLinear(const Parameters& parameters) {
  return std::make_unique<Linear>(parameters);
}

}  // namespace qlarank::bench::attention
