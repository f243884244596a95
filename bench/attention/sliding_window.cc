// Sparse attention: softmax over the last tokens, itself among them, and the
// first few events of all.

#include <algorithm>
#include <array>
#include <memory>
#include <vector>

#include "bench/attention/key_cache.h"
#include "bench/attention/mechanism.h"
#include "bench/attention/position_bias.h"

namespace qlarank::bench::attention {
namespace {

constexpr size_t WholeBlocks(size_t keys) {
  return (keys + kBlockKeys - 1) / kBlockKeys * kBlockKeys;
}

// What a token reads: so many tokens up to itself, and the first events.
struct Window {
  size_t tokens;
  size_t globals;
};

// The biases of one layer towards the ring of the last events.
class RingBias {
 public:
  RingBias(const LayerParameters& layer, size_t window)
      : slots_(WholeBlocks(window)) {
    for (size_t head = 0; head < kHeads; ++head) {
      const float* table = layer.position_bias.data() + head * kBiasBuckets;
      for (size_t i = 0; i < 2 * slots_; ++i) {
        const size_t distance = slots_ - i % slots_;
        // An event at distance `window` is out, although still in the ring.
        by_distance_[head].push_back(
            distance < window ? table[PositionBucket(distance)] : kMasked);
      }
    }
  }

  // Those of all slots for a token behind `num_events`.
  void Copy(size_t head, size_t num_events, float* bias) const {
    const size_t oldest = num_events % slots_;
    std::copy_n(by_distance_[head].data() + slots_ - oldest, slots_, bias);
    if (num_events < slots_) {
      std::fill(bias + num_events, bias + slots_, kMasked);
    }
  }

 private:
  const size_t slots_;
  // Of the events from the oldest to the newest, twice.
  std::array<std::vector<float>, kHeads> by_distance_;
};

class SlidingWindow : public Mechanism {
 public:
  SlidingWindow(const Parameters& parameters, Window window)
      : window_(window),
        ring_slots_(WholeBlocks(window.tokens)),
        slots_(ring_slots_ + WholeBlocks(window.globals)) {
    const std::vector<float> nothing(kWidth, 0.0f);
    for (const LayerParameters& layer : parameters.layers) {
      layers_.push_back({layer, RingBias(layer, window.tokens), KeyCache()});
      layers_.back().cache.Store(slots_ - 1, nothing.data(), nothing.data());
    }
    for (std::vector<float>& bias : biases_) bias.resize(slots_);
  }

  void Append(size_t layer, const Rows& rows, absl::Span<const EventTime>,
              float* attended) override {
    Layer& own = layers_[layer];
    for (size_t row = 0; row < rows.count; ++row) {
      const Rows one{rows.q(row), rows.stride, 1};
      Read(own, one, AttendToKeysAlone, attended + row * kWidth);
      own.cache.Store(own.num_events % ring_slots_, one.k(0), one.v(0));
      if (own.num_events < window_.globals) {
        own.cache.Store(ring_slots_ + own.num_events, one.k(0), one.v(0));
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
    return kLayers *
           (std::min(n, window_.tokens) + std::min(n, window_.globals)) *
           KeyCache::kBytesPerKey;
  }

 private:
  struct Layer {
    const LayerParameters& parameters;
    RingBias ring_bias;
    KeyCache cache;
    size_t num_events = 0;
  };

  // bias[head][slot] for a token that stands behind num_events.
  void MakeBiases(const Layer& own) {
    const size_t n = own.num_events;
    for (size_t head = 0; head < kHeads; ++head) {
      const float* table =
          own.parameters.position_bias.data() + head * kBiasBuckets;
      float* bias = biases_[head].data();
      own.ring_bias.Copy(head, n, bias);
      std::fill(bias + ring_slots_, bias + slots_, kMasked);
      for (size_t j = 0; j < std::min(window_.globals, n); ++j) {
        // While it is near it is read in the ring.
        if (n - j >= window_.tokens) {
          bias[ring_slots_ + j] = table[PositionBucket(n - j)];
        }
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

  const Window window_;
  // The ring of the last events, then the globals.
  const size_t ring_slots_, slots_;
  std::vector<Layer> layers_;
  std::array<std::vector<float>, kHeads> biases_;  // scratch
};

}  // namespace

std::unique_ptr<Mechanism> MakeSlidingWindow(const Parameters& parameters) {
  return std::make_unique<SlidingWindow>(parameters, Window{kWindow, kGlobals});
}

std::unique_ptr<Mechanism> MakeRecentSoftmax(const Parameters& parameters) {
  return std::make_unique<SlidingWindow>(parameters, Window{kRecent, 0});
}

}  // namespace qlarank::bench::attention
