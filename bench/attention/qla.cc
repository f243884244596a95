// Quasi-linear attention, docs/model.md section 3, on the very kernels that
// the engine serves with.

#include <algorithm>
#include <array>
#include <memory>

#include "bench/attention/mechanism.h"
#include "model/kernels.h"

namespace qlarank::bench::attention {
namespace {

constexpr kernels::HeadShape kShape{kHeads, kHeadWidth};

class Qla : public Mechanism {
 public:
  explicit Qla(const Parameters& parameters) : parameters_(parameters) {}

  void Append(size_t layer, const Rows& rows, absl::Span<const EventTime>,
              float* attended) override {
    const LayerParameters& p = parameters_.layers[layer];
    const kernels::EventLayer event_layer{p.alpha.data(), p.beta.data(),
                                          p.decay.data(), p.norm_head.data(),
                                          /*silu_phi2=*/false};
    Layer& own = layers_[layer];
    for (size_t row = 0; row < rows.count; ++row) {
      kernels::AttendAndFold(rows.q(row), event_layer, kShape, own.z.data(),
                             own.c.data(), attended + row * kWidth);
    }
  }

  void BeginRanking(int64_t) override {
    for (size_t l = 0; l < kLayers; ++l) {
      for (size_t head = 0; head < kHeads; ++head) {
        const float scale = parameters_.layers[l].alpha[head] /
                            std::max(layers_[l].c[head], 1.0f);
        kernels::Readout(layers_[l].z.data() + head * kHeadFloats, scale,
                         /*silu=*/false, kHeadFloats,
                         readouts_[l].data() + head * kHeadFloats);
      }
    }
  }

  // rows.stride is 4 d, as the kernel takes it: this mechanism asks for no
  // more.
  void Attend(size_t layer, const Rows& rows, float* attended) override {
    const LayerParameters& p = parameters_.layers[layer];
    kernels::AttendShared(rows.data, readouts_[layer].data(), p.beta.data(),
                          p.norm_head.data(), kShape, rows.count, attended);
  }

  uint64_t BytesKept() const override {
    return kLayers * (sizeof(Layer::z) + sizeof(Layer::c));
  }

 private:
  struct Layer {
    std::array<float, kHeads * kHeadFloats> z{};
    std::array<float, kHeads> c{};
  };

  const Parameters& parameters_;
  std::array<Layer, kLayers> layers_;
  std::array<std::array<float, kHeads * kHeadFloats>, kLayers> readouts_;
};

}  // namespace

std::unique_ptr<Mechanism> MakeQla(const Parameters& parameters) {
  return std::make_unique<Qla>(parameters);
}

}  // namespace qlarank::bench::attention
