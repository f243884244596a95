// Scoring allocates nothing once its scratch is made, however many candidates
// there are, beside what oneDNN allocates in each call: a few nodes of the map
// that it keeps arguments in.

#include <gtest/gtest.h>

#include <vector>

#include "tests/model/golden.h"
#include "tests/testing/counted_allocations.h"

namespace qlarank::testing {
namespace {

constexpr char kModel[] = "all_l2_silu_decay_conv";
constexpr int64_t kRequestTimeUs = 1'600'000'000'000'000;

class AllocationTest : public ::testing::TestWithParam<Precision> {
 protected:
  AllocationTest() : model_(LoadGoldenModel(kModel, GetParam())) {}

  GoldenModel model_;
};

// But for oneDNN, which allocates the same for every tile.
TEST_P(AllocationTest, ScoreAllocatesNothing) {
  if (!ProcessorHas(GetParam())) {
    GTEST_SKIP() << "no " << PrecisionName(GetParam())
                 << " on this processor";
  }
  const Engine& engine = *model_.engine;
  const auto scratch = engine.NewScratch();
  const auto reading = engine.Read(*FoldHistory(model_, "long", 50),
                                   {kRequestTimeUs, {}, {}}, *scratch);
  size_t of_tile = 0;
  for (size_t tiles : {1, 2, 33}) {
    const size_t n = tiles * Engine::kTileRows;
    const std::vector<uint32_t> rows(n, 1);
    const std::vector<float> features(
        n * engine.bundle().spec().candidate_features_size());
    std::vector<float> scores(n * engine.num_tasks());
    const size_t before = NumAllocations();
    engine.Score(*reading, rows, features, absl::MakeSpan(scores), *scratch);
    const size_t after = NumAllocations();
    if (tiles == 1 && GetParam() == Precision::kBf16) of_tile = after - before;
    EXPECT_EQ(after - before, tiles * of_tile) << tiles << " tiles";
  }
}

// Of a request's own, Read allocates what it returns: the same few blocks
// whatever the history.
TEST_P(AllocationTest, ReadAllocatesTheSameForEveryHistory) {
  if (!ProcessorHas(GetParam())) {
    GTEST_SKIP() << "no " << PrecisionName(GetParam())
                 << " on this processor";
  }
  const Engine& engine = *model_.engine;
  const auto scratch = engine.NewScratch();
  const auto count = [&](size_t num_events) {
    const auto state = FoldHistory(model_, "long", num_events);
    const size_t before = NumAllocations();
    const auto reading =
        engine.Read(*state, {kRequestTimeUs, {}, {}}, *scratch);
    return NumAllocations() - before;
  };
  EXPECT_EQ(count(1000), count(2));
  EXPECT_LE(count(2), 14);
}

INSTANTIATE_TEST_SUITE_P(Precisions, AllocationTest,
                         ::testing::Values(Precision::kF32, Precision::kBf16,
                                           Precision::kInt8),
                         [](const auto& info) {
                           return PrecisionName(info.param);
                         });

}  // namespace
}  // namespace qlarank::testing
