// The gated delta rule (arXiv 2412.06464): an event decays the state by its
// gate, takes out what the state said of its key, and writes its value there.

#include <algorithm>
#include <array>
#include <memory>

#include "bench/attention/mechanism.h"
#include "model/kernels.h"

namespace qlarank::bench::attention {
namespace {

class GatedDelta : public Mechanism {
 public:
  explicit GatedDelta(const Parameters& parameters) : parameters_(parameters) {}

  void Append(size_t layer, const Rows& rows, absl::Span<const EventTime>,
              float* attended) override {
    const LayerParameters& p = parameters_.layers[layer];
    Activate(rows);
    for (size_t row = 0; row < rows.count; ++row) {
      float* loss = rows.rest(row);
      float* write = loss + kHeads;
      GateLosses(p.gate_bias.data(), loss);
      GateLosses(p.write_bias.data(), write);
      AttendAndFoldDelta(rows.q(row), loss, write, states_[layer].data(),
                         attended + row * kWidth);
    }
    Finish(layer, rows, attended);
  }

  void BeginRanking(int64_t) override {}

  void Attend(size_t layer, const Rows& rows, float* attended) override {
    Activate(rows);
    std::fill_n(attended, rows.count * kWidth, 0.0f);
    for (size_t head = 0; head < kHeads; ++head) {
      const size_t offset = head * kHeadWidth;
      AddRowsTimesMatrix(rows.data + offset, rows.stride, nullptr, 0,
                         states_[layer].data() + head * kHeadFloats, rows.count,
                         attended + offset);
    }
    Finish(layer, rows, attended);
  }

  uint64_t BytesKept() const override { return sizeof(states_); }

 private:
  // SiLU, then unit length, of the q and k of every head.
  static void Activate(const Rows& rows) {
    kernels::SiluRows(rows.count, 2 * kWidth, rows.stride, rows.q(0));
    for (size_t row = 0; row < rows.count; ++row) {
      UnitHeads(2 * kWidth, rows.q(row));
    }
  }

  void Finish(size_t layer, const Rows& rows, float* attended) const {
    const LayerParameters& p = parameters_.layers[layer];
    for (size_t head = 0; head < kHeads; ++head) {
      AddSelf(rows, head, p.beta[head], attended);
    }
    NormAndGate(rows, attended, p.norm_head.data(), attended);
  }

  const Parameters& parameters_;
  // Rows: key, columns: value; the paper's S, transposed.
  std::array<std::array<float, kHeads * kHeadFloats>, kLayers> states_{};
};

}  // namespace

std::unique_ptr<Mechanism> MakeGatedDelta(const Parameters& parameters) {
  return std::make_unique<GatedDelta>(parameters);
}

}  // namespace qlarank::bench::attention
