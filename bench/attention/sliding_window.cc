// Sparse attention: softmax over the last kWindow tokens, itself included, and
// the first kGlobals events.

#include <algorithm>
#include <array>
#include <memory>
#include <vector>

#include "bench/attention/key_cache.h"
#include "bench/attention/mechanism.h"
#include "bench/attention/position_bias.h"

namespace qlarank::bench::attention {
namespace {

// Slots: the ring of the last kWindow events, then the globals.
constexpr size_t kSlots =
    kWindow + (kGlobals + kBlockKeys - 1) / kBlockKeys * kBlockKeys;
static_assert(kWindow % kBlockKeys == 0);

class SlidingWindow : public Mechanism {
 public:
  explicit SlidingWindow(const Parameters& parameters) {
    const std::vector<float> nothing(kWidth, 0.0f);
    for (const LayerParameters& layer : parameters.layers) {
      layers_.push_back({layer, KeyCache()});
      layers_.back().cache.Store(kSlots - 1, nothing.data(), nothing.data());
    }
  }

  void Append(size_t layer, const Rows& rows, absl::Span<const EventTime>,
              float* attended) override {
    Layer& own = layers_[layer];
    for (size_t row = 0; row < rows.count; ++row) {
      const Rows one{rows.q(row), rows.stride, 1};
      Read(own, one, AttendToKeysAlone, attended + row * kWidth);
      own.cache.Store(own.num_events % kWindow, one.k(0), one.v(0));
      if (own.num_events < kGlobals) {
        own.cache.Store(kWindow + own.num_events, one.k(0), one.v(0));
      }
      ++own.num_events;
    }
    NormAndGate(rows, attended, own.parameters.norm_head.data(), attended);
  }

  void BeginRanking(int64_t) override {}

  void Attend(size_t layer, const Rows& rows, float* attended) override {
    Layer& own = layers_[layer];
    Read(own, rows, AttendToKeys, attended);
    NormAndGate(rows, attended, own.parameters.norm_head.data(), attended);
  }

  uint64_t BytesKept() const override {
    const size_t n = layers_[0].num_events;
    // An event that is near and global lies in both places.
    return kLayers * (std::min(n, kWindow) + std::min(n, kGlobals)) *
           KeyCache::kBytesPerKey;
  }

 private:
  struct Layer {
    const LayerParameters& parameters;
    KeyCache cache;
    size_t num_events = 0;
  };

  // bias[head][slot] for a token that stands behind num_events.
  void MakeBiases(const Layer& own) {
    const size_t n = own.num_events;
    for (size_t head = 0; head < kHeads; ++head) {
      const float* table =
          own.parameters.position_bias.data() + head * kBiasBuckets;
      std::array<float, kSlots>& bias = biases_[head];
      bias.fill(kMasked);
      // The token at distance kWindow is out, although still in the ring.
      for (size_t x = 1; x < std::min(kWindow, n + 1); ++x) {
        bias[(n - x) % kWindow] = table[near_buckets_[x]];
      }
      for (size_t j = 0; j < std::min(kGlobals, n); ++j) {
        if (n - j >= kWindow) bias[kWindow + j] = table[PositionBucket(n - j)];
      }
    }
  }

  void Read(const Layer& own, const Rows& rows, decltype(AttendToKeys) attend,
            float* o) {
    MakeBiases(own);
    for (size_t head = 0; head < kHeads; ++head) {
      const KeyView keys{own.cache.blocks(head), own.cache.num_blocks(),
                         biases_[head].data(), 0,
                         own.parameters.position_bias[head * kBiasBuckets]};
      attend(Weighting::kSoftmax, rows, head, keys, 1.0f, o);
    }
  }

  static std::array<size_t, kWindow> NearBuckets() {
    std::array<size_t, kWindow> buckets;
    for (size_t x = 0; x < kWindow; ++x) buckets[x] = PositionBucket(x);
    return buckets;
  }

  const std::array<size_t, kWindow> near_buckets_ = NearBuckets();
  std::vector<Layer> layers_;
  std::array<std::array<float, kSlots>, kHeads> biases_;  // scratch
};

}  // namespace

std::unique_ptr<Mechanism> MakeSlidingWindow(const Parameters& parameters) {
  return std::make_unique<SlidingWindow>(parameters);
}

}  // namespace qlarank::bench::attention
