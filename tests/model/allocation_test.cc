// Scoring allocates nothing once its scratch is made, however many candidates
// there are, beside what oneDNN allocates in each call: a few nodes of the map
// that it keeps arguments in.

#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <new>
#include <vector>

#include "tests/model/golden.h"

namespace {

std::atomic<size_t> allocations{0};

// Not inlined, lest the compiler see new and free meet.
__attribute__((noinline)) void Free(void* memory) { std::free(memory); }

__attribute__((noinline)) void* CountedAllocation(size_t bytes,
                                                  size_t alignment) {
  ++allocations;
  void* memory =
      std::aligned_alloc(alignment, (bytes / alignment + 1) * alignment);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}

}  // namespace

void* operator new(size_t bytes) {
  return CountedAllocation(bytes, alignof(std::max_align_t));
}
void* operator new(size_t bytes, std::align_val_t alignment) {
  return CountedAllocation(bytes, static_cast<size_t>(alignment));
}
void operator delete(void* memory) noexcept { Free(memory); }
void operator delete(void* memory, size_t) noexcept { Free(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { Free(memory); }
void operator delete(void* memory, size_t, std::align_val_t) noexcept {
  Free(memory);
}

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
  if (!ProcessorHas(GetParam())) GTEST_SKIP();
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
    const size_t before = allocations;
    engine.Score(*reading, rows, features, absl::MakeSpan(scores), *scratch);
    const size_t after = allocations;
    if (tiles == 1 && GetParam() == Precision::kBf16) of_tile = after - before;
    EXPECT_EQ(after - before, tiles * of_tile) << tiles << " tiles";
  }
}

// Of a request's own, Read allocates what it returns: the same few blocks
// whatever the history.
TEST_P(AllocationTest, ReadAllocatesTheSameForEveryHistory) {
  if (!ProcessorHas(GetParam())) GTEST_SKIP();
  const Engine& engine = *model_.engine;
  const auto scratch = engine.NewScratch();
  const auto count = [&](size_t num_events) {
    const auto state = FoldHistory(model_, "long", num_events);
    const size_t before = allocations;
    const auto reading =
        engine.Read(*state, {kRequestTimeUs, {}, {}}, *scratch);
    return allocations - before;
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
