// HSTU's attention: SiLU in the place of softmax, divided by the number of
// keys, with a bias for the time between an event and what the reader is
// followed by.

#include <algorithm>
#include <memory>
#include <vector>

#include "bench/attention/key_cache.h"
#include "bench/attention/mechanism.h"
#include "bench/attention/position_bias.h"
#include "model/buckets.h"
#include "model/kernels.h"

namespace qlarank::bench::attention {
namespace {

// Keys up to `end` whose times are in one bucket before the reader's next time.
struct TimeRun {
  size_t end;
  uint32_t bucket;
};

// Of the first `num_keys` times, oldest first. Times never go back, so each
// bucket is one run, and few runs are searched for, not every key.
std::vector<TimeRun> TimeRuns(absl::Span<const int64_t> times_us,
                              size_t num_keys, int64_t next_time_us) {
  std::vector<TimeRun> runs;
  const auto begin = times_us.begin(), end = begin + num_keys;
  for (auto key = begin; key != end;) {
    const uint32_t bucket = GapBucket(*key, next_time_us);
    key = std::partition_point(key, end, [&](int64_t time_us) {
      return GapBucket(time_us, next_time_us) == bucket;
    });
    runs.push_back({static_cast<size_t>(key - begin), bucket});
  }
  return runs;
}

class Hstu : public Mechanism {
 public:
  explicit Hstu(const Parameters& parameters) {
    for (const LayerParameters& layer : parameters.layers) {
      layers_.push_back({layer, PositionBias(layer), KeyCache()});
    }
  }

  void Append(size_t layer, const Rows& rows, absl::Span<const EventTime> times,
              float* attended) override {
    if (layer == 0) Remember(times);
    Layer& own = layers_[layer];
    own.bias.Reserve(own.num_keys + rows.count);
    for (size_t row = 0; row < rows.count; ++row) {
      const Rows one{rows.q(row), rows.stride, 1};
      kernels::SiluRows(1, 3 * kWidth, one.stride, one.data);
      const uint32_t self_bucket =
          GapBucket(times[row].time_us, times[row].next_time_us);
      for (size_t head = 0; head < kHeads; ++head) {
        AttendToKeysAlone(Weighting::kSilu, one, head,
                          View(own, head, event_runs_[row], self_bucket),
                          1.0f / (own.num_keys + 1), attended + row * kWidth);
      }
      own.cache.Store(own.num_keys++, one.k(0), one.v(0));
    }
    NormAndGate(rows, attended, own.parameters.norm_head.data(), attended);
  }

  void BeginRanking(int64_t request_time_us) override {
    ranking_runs_ = TimeRuns(times_us_, times_us_.size(), request_time_us);
    for (Layer& layer : layers_) layer.bias.Reserve(layer.num_keys);
  }

  void Attend(size_t layer, const Rows& rows, float* attended) override {
    Layer& own = layers_[layer];
    for (size_t row = 0; row < rows.count; ++row) {
      kernels::SiluRows(1, 3 * kWidth, rows.stride, rows.q(row));
    }
    // A candidate happens when it is asked for.
    const uint32_t self_bucket = CountBucket(0);
    for (size_t head = 0; head < kHeads; ++head) {
      AttendToKeys(Weighting::kSilu, rows, head,
                   View(own, head, ranking_runs_, self_bucket),
                   1.0f / (own.num_keys + 1), attended);
    }
    NormAndGate(rows, attended, own.parameters.norm_head.data(), attended);
  }

  uint64_t BytesKept() const override {
    return layers_[0].num_keys *
           (kLayers * KeyCache::kBytesPerKey + sizeof(int64_t));
  }

 private:
  struct Layer {
    const LayerParameters& parameters;
    PositionBias bias;
    KeyCache cache;
    size_t num_keys = 0;
  };

  // Times and their runs are the same in every layer.
  void Remember(absl::Span<const EventTime> times) {
    event_runs_.clear();
    for (const EventTime& time : times) {
      event_runs_.push_back(
          TimeRuns(times_us_, times_us_.size(), time.next_time_us));
      times_us_.push_back(time.time_us);
    }
  }

  // Keys and biases of one head, for a reader behind all of own.num_keys.
  KeyView View(const Layer& own, size_t head, absl::Span<const TimeRun> runs,
               uint32_t self_bucket) {
    const size_t num_slots = own.cache.num_blocks() * kBlockKeys;
    const float* time_bias =
        own.parameters.time_bias.data() + head * kBiasBuckets;
    const float* by_distance = own.bias.At(head, own.num_keys);
    biases_.resize(std::max(biases_.size(), num_slots));
    size_t slot = 0;
    for (const TimeRun& run : runs) {
      const float bias = time_bias[run.bucket];
      for (; slot < run.end; ++slot) biases_[slot] = by_distance[slot] + bias;
    }
    // Empty slots have values of 0, so any finite bias does.
    std::fill(biases_.begin() + slot, biases_.begin() + num_slots, 0.0f);
    return {own.cache.blocks(head), own.cache.num_blocks(), biases_.data(), 0,
            own.bias.Self(head) + time_bias[self_bucket]};
  }

  std::vector<Layer> layers_;
  std::vector<int64_t> times_us_;
  std::vector<std::vector<TimeRun>> event_runs_;  // by row of the tile
  std::vector<TimeRun> ranking_runs_;
  std::vector<float> biases_;  // scratch
};

}  // namespace

std::unique_ptr<Mechanism> MakeHstu(const Parameters& parameters) {
  return std::make_unique<Hstu>(parameters);
}

}  // namespace qlarank::bench::attention
