// Folding in full tiles gives the bits of folding event by event, for models of
// every shape: what invariant 1 rests on, whoever folds.

#include <gtest/gtest.h>

#include <ostream>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "bench/random_bundle.h"
#include "model/engine.h"

namespace qlarank::bench {
namespace {

struct Shape {
  uint32_t d_model, num_heads, num_layers, conv_width;
  model::v1::TargetAware target_aware;
  model::v1::Phi2 phi2;
  int event_features;
  uint32_t memory_entries = 0;
};

std::string NameOf(const Shape& s) {
  return absl::StrCat("d", s.d_model, "_h", s.num_heads, "_l", s.num_layers,
                      "_w", s.conv_width, "_aware", s.target_aware, "_phi",
                      s.phi2, "_f", s.event_features, "_k",
                      s.memory_entries);
}

void PrintTo(const Shape& shape, std::ostream* stream) {
  *stream << NameOf(shape);
}

model::v1::ModelSpec SpecOf(const Shape& shape) {
  model::v1::ModelSpec spec =
      PlainSpec(shape.d_model, shape.num_heads, shape.num_layers,
                shape.conv_width, shape.target_aware, /*num_items=*/50);
  spec.set_phi2(shape.phi2);
  for (int i = 0; i < shape.event_features; ++i) {
    spec.add_event_features(absl::StrCat("feature_", i));
  }
  if (shape.memory_entries > 0) {
    spec.mutable_item_memory()->set_entries(shape.memory_entries);
    spec.mutable_item_memory()->add_half_lives_s(3600);
    spec.mutable_item_memory()->add_half_lives_s(1'000'000);
  }
  return spec;
}

// Owns the features of its events.
struct History {
  std::vector<std::vector<float>> features;
  std::vector<ModelEvent> events;
};

History RandomHistory(const Shape& shape, size_t num_events,
                      std::mt19937& random) {
  std::normal_distribution<float> normal;
  History history;
  history.features.resize(num_events);
  int64_t time_us = 0;
  for (std::vector<float>& features : history.features) {
    for (int i = 0; i < shape.event_features; ++i) {
      features.push_back(normal(random));
    }
    time_us += static_cast<int64_t>(random() % 1'000'000) * 100'000;
    history.events.push_back({static_cast<uint32_t>(random() % 51),
                              random() % 5 == 0 ? Bundle::kUnknownAction : 0,
                              time_us, features});
  }
  return history;
}

class FoldShapesTest : public ::testing::TestWithParam<Shape> {
 protected:
  using State = std::shared_ptr<const UserState>;

  State Fold(State before, absl::Span<const ModelEvent> events) {
    FoldJob job{std::move(before), events, nullptr};
    engine_->Fold(absl::MakeSpan(&job, 1), *scratch_);
    return job.after;
  }
  // One call, and so one row, per event.
  State FoldOneByOne(absl::Span<const ModelEvent> events) {
    State state = engine_->empty_state();
    for (size_t i = 0; i < events.size(); ++i) {
      state = Fold(state, events.subspan(i, 1));
    }
    return state;
  }
  std::string Bits(const State& state) {
    return engine_->SerializeState(*state);
  }

  const std::unique_ptr<const Engine> engine_ =
      *Engine::Create(RandomBundle(SpecOf(GetParam())));
  const std::unique_ptr<EngineScratch> scratch_ = engine_->NewScratch();
  std::mt19937 random_{20260417};
};

// The ends of tiles fall everywhere, and within the convolution's reach.
TEST_P(FoldShapesTest, OneHistoryInTilesHasTheBitsOfEventByEvent) {
  const History history = RandomHistory(GetParam(), 200, random_);
  for (const size_t size : {1, 2, 3, 5, 17, 64, 65, 66, 128, 129, 200}) {
    const auto events = absl::MakeSpan(history.events).first(size);
    ASSERT_EQ(Bits(Fold(engine_->empty_state(), events)),
              Bits(FoldOneByOne(events)))
        << size << " events";
  }
}

TEST_P(FoldShapesTest, ManyHistoriesInSharedTilesHaveTheBitsOfEventByEvent) {
  const History history = RandomHistory(GetParam(), 150, random_);
  std::vector<FoldJob> jobs;
  for (int user = 0; user < 40; ++user) {
    const size_t first = random_() % 100, size = random_() % 50;
    jobs.push_back({engine_->empty_state(),
                    absl::MakeSpan(history.events).subspan(first, size),
                    nullptr});
  }
  engine_->Fold(absl::MakeSpan(jobs), *scratch_);
  for (const FoldJob& job : jobs) {
    ASSERT_EQ(Bits(job.after), Bits(FoldOneByOne(job.events)));
  }
}

// On a history that goes on, whatever it was cut into.
TEST_P(FoldShapesTest, CutsDoNotShow) {
  const History history = RandomHistory(GetParam(), 300, random_);
  const auto events = absl::MakeSpan(history.events);
  State state = engine_->empty_state();
  for (size_t i = 0; i < events.size();) {
    const size_t size = 1 + random_() % 90;
    state = Fold(state, events.subspan(i, size));
    i += size;
  }
  EXPECT_EQ(Bits(state), Bits(Fold(engine_->empty_state(), events)));
}

constexpr auto kOff = model::v1::TARGET_AWARE_OFF;
constexpr auto kAll = model::v1::TARGET_AWARE_ALL_LAYERS;
constexpr auto kBlock = model::v1::TARGET_AWARE_DEDICATED_BLOCK;
constexpr auto kIdentity = model::v1::PHI2_IDENTITY;
constexpr auto kSilu = model::v1::PHI2_SILU;

INSTANTIATE_TEST_SUITE_P(
    Shapes, FoldShapesTest,
    ::testing::Values(Shape{128, 4, 2, 4, kAll, kIdentity, 0},   // d_h 32
                      Shape{64, 4, 4, 4, kBlock, kIdentity, 0},  // 16
                      Shape{64, 8, 3, 3, kAll, kSilu, 2},        // 8
                      Shape{96, 4, 1, 2, kAll, kIdentity, 3},    // 24
                      Shape{32, 1, 1, 1, kOff, kSilu, 0},        // 32
                      Shape{64, 2, 2, 1, kBlock, kSilu, 1},      // 32
                      Shape{16, 2, 1, 8, kBlock, kIdentity, 0},  // 8
                      Shape{64, 4, 8, 4, kOff, kIdentity, 0},    // 16
                      Shape{32, 2, 2, 4, kBlock, kIdentity, 1, 16},
                      Shape{16, 2, 2, 1, kAll, kSilu, 0, 64}),
    [](const auto& info) { return NameOf(info.param); });

}  // namespace
}  // namespace qlarank::bench
