// Standard self-attention: softmax over the keys of all earlier events, which
// are cached, and itself.

#include <memory>
#include <vector>

#include "bench/attention/key_cache.h"
#include "bench/attention/mechanism.h"
#include "bench/attention/position_bias.h"

namespace qlarank::bench::attention {
namespace {

class Softmax : public Mechanism {
 public:
  explicit Softmax(const Parameters& parameters) {
    for (const LayerParameters& layer : parameters.layers) {
      layers_.push_back({layer, PositionBias(layer), KeyCache()});
    }
  }

  void Append(size_t layer, const Rows& rows, absl::Span<const EventTime>,
              float* attended) override {
    Layer& own = layers_[layer];
    const size_t first = own.num_keys;
    own.bias.Reserve(first + kTileRows);
    // The keys of the whole tile are in the cache before it is read; the bias
    // masks what a row must not see.
    for (size_t row = 0; row < rows.count; ++row) {
      own.cache.Store(first + row, rows.k(row), rows.v(row));
    }
    Read(own, rows, first, /*bias_step=*/1, attended);
    own.num_keys += rows.count;
  }

  void BeginRanking(int64_t) override {
    for (Layer& layer : layers_) layer.bias.Reserve(layer.num_keys);
  }

  void Attend(size_t layer, const Rows& rows, float* attended) override {
    Read(layers_[layer], rows, layers_[layer].num_keys, /*bias_step=*/0,
         attended);
  }

  uint64_t BytesKept() const override {
    return kLayers * layers_[0].num_keys * KeyCache::kBytesPerKey;
  }

 private:
  struct Layer {
    const LayerParameters& parameters;
    PositionBias bias;
    KeyCache cache;
    size_t num_keys = 0;
  };

  void Read(const Layer& own, const Rows& rows, size_t position,
            ptrdiff_t bias_step, float* attended) const {
    const bool alone = bias_step == 1 && rows.count == 1;
    for (size_t head = 0; head < kHeads; ++head) {
      const KeyView keys{own.cache.blocks(head), own.cache.num_blocks(),
                         own.bias.At(head, position), bias_step,
                         own.bias.Self(head)};
      (alone ? AttendToKeysAlone : AttendToKeys)(Weighting::kSoftmax, rows,
                                                 head, keys, 1.0f, attended);
    }
    NormAndGate(rows, attended, own.parameters.norm_head.data(), attended);
  }

  std::vector<Layer> layers_;
};

}  // namespace

std::unique_ptr<Mechanism> MakeSoftmax(const Parameters& parameters) {
  return std::make_unique<Softmax>(parameters);
}

}  // namespace qlarank::bench::attention
