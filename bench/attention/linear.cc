// Linear attention with a positive kernel, phi = elu + 1, normalised by the
// sum of its weights: one matrix and one vector per head, without decay.

#include <algorithm>
#include <array>
#include <memory>
#include <vector>

#include "bench/attention/mechanism.h"

namespace qlarank::bench::attention {
namespace {

class Linear : public Mechanism {
 public:
  explicit Linear(const Parameters& parameters) : parameters_(parameters) {}

  void Append(size_t layer, const Rows& rows, absl::Span<const EventTime>,
              float* attended) override {
    Layer& own = layers_[layer];
    for (size_t row = 0; row < rows.count; ++row) {
      const Rows one{rows.q(row), rows.stride, 1};
      Read(own, one, attended + row * kWidth);
      for (size_t head = 0; head < kHeads; ++head) {
        const size_t offset = head * kHeadWidth;
        AddOuterProduct(one.k(0) + offset, one.v(0) + offset,
                        own.sum.data() + head * kHeadFloats);
      }
      for (size_t i = 0; i < kWidth; ++i) own.normalizer[i] += one.k(0)[i];
    }
    Finish(layer, rows, attended);
  }

  void BeginRanking(int64_t) override {}

  void Attend(size_t layer, const Rows& rows, float* attended) override {
    Read(layers_[layer], rows, attended);
    Finish(layer, rows, attended);
  }

  uint64_t BytesKept() const override {
    return kLayers * sizeof(Layer::sum) + kLayers * sizeof(Layer::normalizer);
  }

 private:
  struct Layer {
    std::array<float, kHeads * kHeadFloats> sum{};  // of phi(k)^T v
    std::array<float, kWidth> normalizer{};         // sum of phi(k)
  };

  // q and k become phi(q) and phi(k).
  void Read(const Layer& own, const Rows& rows, float* o) const {
    for (size_t row = 0; row < rows.count; ++row) {
      EluPlusOne(2 * kWidth, rows.q(row));
    }
    std::fill_n(o, rows.count * kWidth, 0.0f);
    for (size_t head = 0; head < kHeads; ++head) {
      const size_t offset = head * kHeadWidth;
      AddRowsTimesMatrix(rows.data + offset, rows.stride, nullptr, 0,
                         own.sum.data() + head * kHeadFloats, rows.count,
                         o + offset);
      NormalizeWithSelf(rows, head, own.normalizer.data() + offset, o);
    }
  }

  void Finish(size_t layer, const Rows& rows, float* attended) const {
    NormAndGate(rows, attended, parameters_.layers[layer].norm_head.data(),
                attended);
  }

  const Parameters& parameters_;
  std::array<Layer, kLayers> layers_;
};

}  // namespace

std::unique_ptr<Mechanism> MakeLinear(const Parameters& parameters) {
  return std::make_unique<Linear>(parameters);
}

}  // namespace qlarank::bench::attention
