// A model with item memory scores and reads as one without: nothing is allocated
// for a candidate, nor more for a longer history.
#include <gtest/gtest.h>

#include <vector>

#include "bench/random_bundle.h"
#include "model/engine.h"
#include "tests/model/plain_memory.h"
#include "tests/testing/counted_allocations.h"

namespace qlarank::testing {
namespace {

constexpr uint32_t kRows = 30;

model::v1::ModelSpec Spec() {
  model::v1::ModelSpec spec =
      bench::PlainSpec(/*d_model=*/32, /*num_heads=*/2, /*num_layers=*/2,
                       /*conv_width=*/3,
                       model::v1::TARGET_AWARE_DEDICATED_BLOCK, kRows - 1);
  spec.mutable_item_memory()->set_entries(16);
  spec.mutable_item_memory()->add_half_lives_s(86'400);
  return spec;
}

class MemoryAllocationTest : public ::testing::Test {
 protected:
  std::shared_ptr<const UserState> Fold(size_t num_events) {
    const auto events = MemoryEvents(num_events, kRows, 1);
    FoldJob job{engine_->empty_state(), events, nullptr};
    engine_->Fold(absl::MakeSpan(&job, 1), *scratch_);
    return job.after;
  }

  const std::unique_ptr<const Engine> engine_ =
      *Engine::Create(bench::RandomBundle(Spec()));
  const std::unique_ptr<EngineScratch> scratch_ = engine_->NewScratch();
};

TEST_F(MemoryAllocationTest, ScoreAllocatesNothing) {
  const auto reading = engine_->Read(*Fold(200), {0, {}, {}}, *scratch_);
  std::vector<uint32_t> rows(3 * Engine::kTileRows + 1);
  for (size_t i = 0; i < rows.size(); ++i) rows[i] = i % kRows;
  std::vector<float> scores(rows.size());
  const size_t before = NumAllocations();
  engine_->Score(*reading, rows, {}, absl::MakeSpan(scores), *scratch_);
  EXPECT_EQ(NumAllocations(), before);
}

TEST_F(MemoryAllocationTest, ReadAllocatesTheSameForEveryHistory) {
  const auto count = [&](const UserState& state) {
    const size_t before = NumAllocations();
    const auto reading = engine_->Read(state, {0, {}, {}}, *scratch_);
    return NumAllocations() - before;
  };
  const auto few = Fold(2), many = Fold(1000);
  EXPECT_EQ(count(*few), count(*many));
}

}  // namespace
}  // namespace qlarank::testing
