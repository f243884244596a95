// Log-linear attention: the history in one matrix per set bit of its length,
// merged like the digits of a binary counter, each read with a weight of its
// own that the token computes.

#include <algorithm>
#include <array>
#include <bit>
#include <memory>
#include <vector>

#include "bench/attention/mechanism.h"
#include "model/kernels.h"

namespace qlarank::bench::attention {
namespace {

using LevelState = std::array<float, kHeads * kHeadFloats>;

class LogLinear : public Mechanism {
 public:
  explicit LogLinear(const Parameters& parameters) : parameters_(parameters) {}

  void Append(size_t layer, const Rows& rows, absl::Span<const EventTime>,
              float* attended) override {
    Layer& own = layers_[layer];
    for (size_t row = 0; row < rows.count; ++row) {
      const Rows one{rows.q(row), rows.stride, 1};
      Read(layer, one, attended + row * kWidth);
      Fold(one, own);
    }
    Finish(layer, rows, attended);
  }

  void BeginRanking(int64_t) override {}

  void Attend(size_t layer, const Rows& rows, float* attended) override {
    Read(layer, rows, attended);
    Finish(layer, rows, attended);
  }

  uint64_t BytesKept() const override {
    const uint64_t n = layers_[0].num_events;
    return kLayers * std::popcount(n) * sizeof(LevelState);
  }

 private:
  // Level l holds the sum of k^T v of 2^l events while bit l of num_events is
  // set, and nothing of use otherwise.
  struct Layer {
    std::vector<LevelState> levels;
    uint64_t num_events = 0;
  };

  static bool Holds(const Layer& own, size_t level) {
    return own.num_events >> level & 1;
  }

  // q and k become SiLU(q) and SiLU(k); the rest of a row, its level weights.
  void Read(size_t layer, const Rows& rows, float* o) const {
    const Layer& own = layers_[layer];
    for (size_t row = 0; row < rows.count; ++row) {
      kernels::SiluRows(1, 2 * kWidth, rows.stride, rows.q(row));
      Softplus(kHeads * kLevels, rows.rest(row));
    }
    std::fill_n(o, rows.count * kWidth, 0.0f);
    for (size_t head = 0; head < kHeads; ++head) {
      const size_t offset = head * kHeadWidth;
      for (size_t level = 0; level < own.levels.size(); ++level) {
        if (!Holds(own, level)) continue;
        AddRowsTimesMatrix(rows.data + offset, rows.stride,
                           rows.rest(0) + head * kLevels + level, rows.stride,
                           own.levels[level].data() + head * kHeadFloats,
                           rows.count, o + offset);
      }
      AddSelf(rows, head, parameters_.layers[layer].beta[head], o);
    }
  }

  // The lowest empty level takes the event and all that the levels below hold.
  static void Fold(const Rows& one, Layer& own) {
    const size_t level = std::countr_one(own.num_events);
    if (level >= own.levels.size()) own.levels.resize(level + 1);
    LevelState& state = own.levels[level];
    state.fill(0.0f);
    for (size_t below = 0; below < level; ++below) {
      kernels::ScaleAdd(1.0f, own.levels[below].data(), state.size(),
                        state.data());
    }
    for (size_t head = 0; head < kHeads; ++head) {
      const size_t offset = head * kHeadWidth;
      AddOuterProduct(one.k(0) + offset, one.v(0) + offset,
                      state.data() + head * kHeadFloats);
    }
    ++own.num_events;
  }

  void Finish(size_t layer, const Rows& rows, float* attended) const {
    NormAndGate(rows, attended, parameters_.layers[layer].norm_head.data(),
                attended);
  }

  const Parameters& parameters_;
  std::array<Layer, kLayers> layers_;
};

}  // namespace

std::unique_ptr<Mechanism> MakeLogLinear(const Parameters& parameters) {
  return std::make_unique<LogLinear>(parameters);
}

}  // namespace qlarank::bench::attention
