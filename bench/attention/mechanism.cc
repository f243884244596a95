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
      {"none", 0, false, MakeNone},
      {"softmax", 0, true, MakeSoftmax},
      {"hstu", 0, true, MakeHstu},
      {"sliding_window", 0, false, MakeSlidingWindow},
      {"recent_softmax", 0, false, MakeRecentSoftmax},
      {"linear", 0, false, MakeLinear},
      {"qla", 0, false, MakeQla},
      {"log_linear", kHeads * kLevels, false, MakeLogLinear},
  };
  return kKinds;
}

}  // namespace qlarank::bench::attention
