// Quasi-linear attention, docs/model.md section 3, on the very kernels that
// the engine serves with.

#include <array>
#include <memory>
#include <vector>

#include "bench/attention/mechanism.h"
#include "model/head_decays.h"
#include "model/kernels.h"

namespace qlarank::bench::attention {
namespace {

class Qla : public Mechanism {
 public:
  explicit Qla(const Parameters& parameters) : parameters_(parameters) {
    for (const LayerParameters& layer : parameters.layers) {
      decays_.emplace_back(layer.decay_rate, layer.alpha);
    }
  }

  void Append(size_t layer, const Rows& rows, absl::Span<const EventTime>,
              float* attended) override {
    const LayerParameters& p = parameters_.layers[layer];
    const kernels::EventLayer event_layer{p.beta.data(), decays_[layer].loss(),
                                          p.norm_head.data(),
                                          /*silu_phi2=*/false};
    Activate(rows);
    Layer& own = layers_[layer];
    for (size_t row = 0; row < rows.count; ++row) {
      const auto scales = Scales(layer, own.folded++);
      kernels::AttendAndFold(rows.q(row), event_layer, scales.data(),
                             kHeadShape, own.z.data(), own.z.data(),
                             attended + row * kWidth);
    }
  }

  void BeginRanking(int64_t) override {
    for (size_t l = 0; l < kLayers; ++l) {
      const auto scales = Scales(l, layers_[l].folded);
      for (size_t head = 0; head < kHeads; ++head) {
        kernels::Readout(layers_[l].z.data() + head * kHeadFloats, scales[head],
                         /*silu=*/false, kHeadFloats,
                         readouts_[l].data() + head * kHeadFloats);
      }
    }
  }

  // rows.stride is 4 d, as the kernel takes it: this mechanism asks for no
  // more.
  void Attend(size_t layer, const Rows& rows, float* attended) override {
    const LayerParameters& p = parameters_.layers[layer];
    Activate(rows);
    kernels::AttendShared(rows.data, readouts_[layer].data(), p.beta.data(),
                          p.norm_head.data(), kHeadShape, rows.count, attended);
  }

  uint64_t BytesKept() const override {
    return kLayers * sizeof(Layer::z) + sizeof(Layer::folded);
  }

 private:
  struct Layer {
    std::array<float, kHeads * kHeadFloats> z{};
    uint64_t folded = 0;
  };

  // SiLU of q, k and g, which the engine's products end with.
  static void Activate(const Rows& rows) {
    kernels::SiluRows(rows.count, 2 * kWidth, rows.stride, rows.q(0));
    kernels::SiluRows(rows.count, kWidth, rows.stride, rows.g(0));
  }

  std::array<float, kernels::kHeadPadding> Scales(size_t layer,
                                                  uint64_t folded) const {
    std::array<float, kernels::kHeadPadding> scales;
    kernels::ReadoutScales(decays_[layer].view(), kHeads, folded,
                           scales.data());
    return scales;
  }

  const Parameters& parameters_;
  std::vector<HeadDecays> decays_;  // by layer
  std::array<Layer, kLayers> layers_;
  std::array<std::array<float, kHeads * kHeadFloats>, kLayers> readouts_;
};

}  // namespace

std::unique_ptr<Mechanism> MakeQla(const Parameters& parameters) {
  return std::make_unique<Qla>(parameters);
}

}  // namespace qlarank::bench::attention
