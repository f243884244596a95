#include "bench/attention/mechanism.h"

#include <algorithm>

namespace qlarank::bench::attention {
namespace {

class None : public Mechanism {
 public:
  explicit None(const Parameters& parameters) : parameters_(parameters) {}

  void Append(size_t layer, const Rows& rows, absl::Span<const EventTime>,
              float* attended) override {
    Attend(layer, rows, attended);
  }
  void BeginRanking(int64_t) override {}
  void Attend(size_t layer, const Rows& rows, float* attended) override {
    for (size_t row = 0; row < rows.count; ++row) {
      std::copy_n(rows.v(row), kWidth, attended + row * kWidth);
    }
    NormAndGate(rows, attended, parameters_.layers[layer].norm_head.data(),
                attended);
  }
  uint64_t BytesKept() const override { return 0; }

 private:
  const Parameters& parameters_;
};

}  // namespace

std::unique_ptr<Mechanism> MakeNone(const Parameters& parameters) {
  return std::make_unique<None>(parameters);
}

absl::Span<const MechanismKind> AllMechanisms() {
  static constexpr MechanismKind kKinds[] = {
      {.name = "none", .make = MakeNone},
      {.name = "softmax", .make = MakeSoftmax, .reads_everything = true},
      {.name = "hstu", .make = MakeHstu, .reads_everything = true},
      {.name = "sliding_window", .make = MakeSlidingWindow},
      {.name = "recent_softmax", .make = MakeRecentSoftmax},
      {.name = "linear", .make = MakeLinear},
      {.name = "decayed_linear", .make = MakeDecayedLinear},
      {.name = "log_linear",
       .make = MakeLogLinear,
       .extra_outputs = kHeads * kLevels,
       .candidates_have_extras = true},
      {.name = "gated_delta",
       .make = MakeGatedDelta,
       .extra_outputs = kGateOutputs},
      {.name = "qla", .make = MakeQla},
      {.name = "gated", .make = MakeGated, .extra_outputs = kGateOutputs},
      {.name = "seeds_only", .make = MakeSeedsOnly, .has_seeds = true},
  };
  return kKinds;
}

}  // namespace qlarank::bench::attention
