// Quasi-linear attention whose decay is gated by content: what an event leaves
// of the past depends on the event. On the kernels that the engine serves with;
// only the losses are the token's own.

#include <algorithm>
#include <array>
#include <memory>

#include "bench/attention/mechanism.h"
#include "model/kernels.h"

namespace qlarank::bench::attention {
namespace {

class Gated : public Mechanism {
 public:
  explicit Gated(const Parameters& parameters) : parameters_(parameters) {}

  void Append(size_t layer, const Rows& rows, absl::Span<const EventTime>,
              float* attended) override {
    const LayerParameters& p = parameters_.layers[layer];
    Activate(rows);
    Layer& own = layers_[layer];
    for (size_t row = 0; row < rows.count; ++row) {
      const auto scales = Scales(layer);
      float* loss = rows.rest(row);
      GateLosses(p.gate_bias.data(), loss);
      const kernels::EventLayer event_layer{p.beta.data(), loss,
                                            p.norm_head.data(),
                                            /*silu_phi2=*/false};
      kernels::AttendAndFold(rows.q(row), event_layer, scales.data(),
                             kHeadShape, own.z.data(), own.z.data(),
                             attended + row * kWidth);
      for (size_t head = 0; head < kHeads; ++head) {
        own.count[head] += 1.0f - loss[head] * own.count[head];
      }
    }
  }

  void BeginRanking(int64_t) override {
    for (size_t l = 0; l < kLayers; ++l) {
      const auto scales = Scales(l);
      for (size_t head = 0; head < kHeads; ++head) {
        kernels::Readout(layers_[l].z.data() + head * kHeadFloats, scales[head],
                         /*silu=*/false, kHeadFloats,
                         readouts_[l].data() + head * kHeadFloats);
      }
    }
  }

  // rows.stride is 4 d, as the kernel takes it: candidates have no gates.
  void Attend(size_t layer, const Rows& rows, float* attended) override {
    const LayerParameters& p = parameters_.layers[layer];
    Activate(rows);
    kernels::AttendShared(rows.data, readouts_[layer].data(), p.beta.data(),
                          p.norm_head.data(), kHeadShape, rows.count, attended);
  }

  uint64_t BytesKept() const override { return sizeof(layers_); }

 private:
  struct Layer {
    std::array<float, kHeads * kHeadFloats> z{};
    std::array<float, kHeads> count{};  // c, decayed as z is
  };

  // SiLU of q, k and g, which the engine's products end with.
  static void Activate(const Rows& rows) {
    kernels::SiluRows(rows.count, 2 * kWidth, rows.stride, rows.q(0));
    kernels::SiluRows(rows.count, kWidth, rows.stride, rows.g(0));
  }

  // alpha / max(c, 1).
  std::array<float, kernels::kHeadPadding> Scales(size_t layer) const {
    std::array<float, kernels::kHeadPadding> scales{};
    for (size_t head = 0; head < kHeads; ++head) {
      scales[head] = parameters_.layers[layer].alpha[head] /
                     std::max(layers_[layer].count[head], 1.0f);
    }
    return scales;
  }

  const Parameters& parameters_;
  std::array<Layer, kLayers> layers_;
  std::array<std::array<float, kHeads * kHeadFloats>, kLayers> readouts_;
};

}  // namespace

std::unique_ptr<Mechanism> MakeGated(const Parameters& parameters) {
  return std::make_unique<Gated>(parameters);
}

}  // namespace qlarank::bench::attention
