// What float32 makes of a million events that are forgotten slowly, against an
// independent fold in float64: docs/model.md section 3 written down once more,
// for a model without convolution, whose phi2 is the identity.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "absl/strings/str_cat.h"
#include "bench/random_bundle.h"
#include "model/buckets.h"
#include "model/engine.h"

namespace qlarank::testing {
namespace {

constexpr size_t kWidth = 16, kHeads = 2, kHeadWidth = kWidth / kHeads;
constexpr size_t kFfnWidth = 2 * kWidth, kLayers = 2, kNumItems = 300;
constexpr size_t kNumEvents = 1'000'000;

using Doubles = std::vector<double>;

double Silu(double x) { return x / (1 + std::exp(-x)); }

Doubles RmsNorm(const Doubles& x, absl::Span<const float> weight) {
  double squares = 0;
  for (const double value : x) squares += value * value;
  Doubles normed(x.size());
  for (size_t i = 0; i < x.size(); ++i) {
    normed[i] = x[i] / std::sqrt(squares / x.size() + 1e-6) * weight[i];
  }
  return normed;
}

Doubles Multiply(absl::Span<const float> weights, const Doubles& x) {
  Doubles y(weights.size() / x.size());
  for (size_t o = 0; o < y.size(); ++o) {
    for (size_t i = 0; i < x.size(); ++i)
      y[o] += weights[o * x.size() + i] * x[i];
  }
  return y;
}

class Reference {
 public:
  explicit Reference(const Bundle& bundle)
      : bundle_(bundle), z_(kLayers * kHeads * kHeadWidth * kHeadWidth) {}

  // Folds `event`, the `position`-th, counted from 1.
  void Fold(const ModelEvent& event, uint64_t position, int64_t previous_us,
            int64_t next_us) {
    Doubles x(kWidth);
    AddRow("item_embedding", event.item_row, std::sqrt(double{kWidth}), x);
    AddRow("action_embedding", event.action, 1, x);
    AddRow("gap_embedding",
           position > 1 ? GapBucket(previous_us, event.time_us) : kNoGapBucket,
           1, x);
    AddRow("next_embedding", GapBucket(event.time_us, next_us), 1, x);
    AddRow("count_embedding", CountBucket(position), 1, x);
    for (size_t layer = 0; layer < kLayers; ++layer) Pass(layer, x);
  }

  const Doubles& z() const { return z_; }

 private:
  absl::Span<const float> Tensor(size_t layer, const char* name) const {
    return bundle_.tensor(absl::StrCat("layers.", layer, ".", name));
  }

  void AddRow(const char* table, size_t row, double scale, Doubles& x) const {
    const auto values = bundle_.tensor(table).subspan(row * kWidth, kWidth);
    for (size_t i = 0; i < kWidth; ++i) x[i] += scale * values[i];
  }

  void Pass(size_t layer, Doubles& x) {
    const Doubles n = RmsNorm(x, Tensor(layer, "norm_attn"));
    const Doubles qkvg = Multiply(Tensor(layer, "w_qkvg"), n);
    Doubles attended(kWidth);
    for (size_t head = 0; head < kHeads; ++head) {
      Attend(layer, head, qkvg, attended);
    }
    Add(Multiply(Tensor(layer, "w_o"), attended), x);
    const Doubles pr =
        Multiply(Tensor(layer, "w_12"), RmsNorm(x, Tensor(layer, "norm_ffn")));
    Doubles gated(kFfnWidth);
    for (size_t i = 0; i < kFfnWidth; ++i) {
      gated[i] = pr[i] * Silu(pr[kFfnWidth + i]);
    }
    Add(Multiply(Tensor(layer, "w_3"), gated), x);
  }

  void Attend(size_t layer, size_t head, const Doubles& qkvg,
              Doubles& attended) {
    const size_t first = head * kHeadWidth;
    const double decay = std::exp(-double{Tensor(layer, "decay_rate")[head]});
    double& count = counts_[layer][head];
    double* z = &z_[(layer * kHeads + head) * kHeadWidth * kHeadWidth];
    const double scale = Tensor(layer, "alpha")[head] / std::max(count, 1.0);
    Doubles o(kHeadWidth);
    double qk = 0;
    for (size_t i = 0; i < kHeadWidth; ++i) {
      const double q = Silu(qkvg[first + i]);
      const double k = Silu(qkvg[kWidth + first + i]);
      qk += q * k;
      for (size_t j = 0; j < kHeadWidth; ++j) {
        double& value = z[i * kHeadWidth + j];
        o[j] += q * scale * value;
        value = decay * value + k * qkvg[2 * kWidth + first + j];
      }
    }
    for (size_t j = 0; j < kHeadWidth; ++j) {
      o[j] += Tensor(layer, "beta")[head] * qk * qkvg[2 * kWidth + first + j];
    }
    o = RmsNorm(o, Tensor(layer, "norm_head").subspan(first, kHeadWidth));
    for (size_t j = 0; j < kHeadWidth; ++j) {
      attended[first + j] = o[j] * Silu(qkvg[3 * kWidth + first + j]);
    }
    count = decay * count + 1;
  }

  static void Add(const Doubles& from, Doubles& to) {
    for (size_t i = 0; i < to.size(); ++i) to[i] += from[i];
  }

  const Bundle& bundle_;
  Doubles z_;  // as StateLayout has it
  double counts_[kLayers][kHeads] = {};
};

std::vector<ModelEvent> MadeUpEvents() {
  std::vector<ModelEvent> events;
  uint64_t seed = 1;
  int64_t time_us = 1'500'000'000'000'000;
  for (size_t i = 0; i < kNumEvents; ++i) {
    seed = seed * 6364136223846793005 + 1442695040888963407;
    time_us += 1'000'000 << (seed >> 60);
    events.push_back({static_cast<uint32_t>((seed >> 33) % (kNumItems + 1)),
                      0,
                      time_us,
                      {}});
  }
  return events;
}

TEST(LongHistoryTest, AMillionEventsAreWithinATenThousandthOfFloat64) {
  model::v1::ModelSpec spec =
      bench::PlainSpec(kWidth, kHeads, kLayers, /*conv_width=*/1,
                       model::v1::TARGET_AWARE_ALL_LAYERS, kNumItems);
  spec.set_initial_half_lives(0, 69'315);  // a rate of 1e-5
  spec.set_initial_half_lives(1, 2'000);
  const auto bundle = bench::RandomBundle(spec);
  const auto engine = Engine::Create(bundle);
  ASSERT_TRUE(engine.ok()) << engine.status();
  const std::vector<ModelEvent> events = MadeUpEvents();
  FoldJob job{(*engine)->empty_state(), events, nullptr};
  (*engine)->Fold(absl::MakeSpan(&job, 1), *(*engine)->NewScratch());

  Reference reference(*bundle);
  for (size_t i = 0; i + 1 < events.size(); ++i) {  // the last one is pending
    reference.Fold(events[i], i + 1, i > 0 ? events[i - 1].time_us : 0,
                   events[i + 1].time_us);
  }
  const Doubles& z = reference.z();
  ASSERT_EQ(job.after->values.size(), z.size());
  const size_t head_size = kHeadWidth * kHeadWidth;
  for (size_t i = 0; i < z.size(); ++i) {
    double squares = 0;  // of its head
    for (size_t j = 0; j < head_size; ++j) {
      const double value = z[i / head_size * head_size + j];
      squares += value * value;
    }
    const double rms = std::sqrt(squares / head_size);
    EXPECT_NEAR(job.after->values[i], z[i],
                1e-4 * std::max(std::abs(z[i]), rms))
        << i;
  }
}

}  // namespace
}  // namespace qlarank::testing
