// What the engine does on a processor without the instructions of the lower
// precisions. oneDNN is told so before it looks.

#include <stdlib.h>

#include <cstring>

#include "gtest/gtest.h"
#include "model/precision.h"
#include "tests/model/golden.h"

namespace qlarank::testing {
namespace {

const bool kIsLesser = setenv("DNNL_MAX_CPU_ISA", "AVX2", 1) == 0;

class LesserProcessorTest : public ::testing::TestWithParam<Precision> {
 protected:
  // Of all candidates of the first case.
  static std::vector<float> Scores(const GoldenModel& model) {
    const GoldenCase& golden = model.cases.front();
    const auto scratch = model.engine->NewScratch();
    const auto state = FoldHistory(model, golden.history, golden.num_events);
    const auto reading = model.engine->Read(
        *state, {golden.request_time_us, {}, golden.context_rows}, *scratch);
    std::vector<float> scores(golden.item_rows.size() *
                              model.engine->num_tasks());
    model.engine->Score(*reading, golden.item_rows, golden.candidate_features,
                        absl::MakeSpan(scores), *scratch);
    return scores;
  }
};

TEST_P(LesserProcessorTest, ScoresInFloat32Instead) {
  ASSERT_TRUE(kIsLesser);
  EXPECT_FALSE(ProcessorHas(GetParam()));
  EXPECT_TRUE(ProcessorHas(Precision::kF32));
  const std::string name = "all_l4_decay_conv_everything";
  const GoldenModel model = LoadGoldenModel(name, GetParam());
  EXPECT_EQ(model.engine->precision(), Precision::kF32);
  const std::vector<float> scores = Scores(model);
  const std::vector<float> expected = Scores(LoadGoldenModel(name));
  ASSERT_FALSE(scores.empty());
  ASSERT_EQ(scores.size(), expected.size());
  EXPECT_EQ(memcmp(scores.data(), expected.data(),
                   scores.size() * sizeof(float)),
            0);
}

// Whatever oneDNN does to a matrix there, of all heads or of one.
TEST(LesserProcessorTasksTest, ATaskScoresTheSameAlone) {
  ASSERT_TRUE(kIsLesser);
  const GoldenModel model = LoadGoldenModel("all_l4_decay_conv_everything");
  const GoldenCase& golden = model.cases.front();
  const auto scratch = model.engine->NewScratch();
  const auto reading = model.engine->Read(
      *FoldHistory(model, golden.history, golden.num_events),
      {golden.request_time_us, {}, golden.context_rows}, *scratch);
  const size_t n = golden.item_rows.size();
  const size_t num_tasks = model.engine->num_tasks();
  ASSERT_GT(num_tasks, 1);
  std::vector<float> all(n * num_tasks), alone(n);
  model.engine->Score(*reading, golden.item_rows, golden.candidate_features,
                      absl::MakeSpan(all), *scratch);
  for (uint32_t task = 0; task < num_tasks; ++task) {
    model.engine->Score(*reading, golden.item_rows, golden.candidate_features,
                        {task}, absl::MakeSpan(alone), *scratch);
    for (size_t i = 0; i < n; ++i) {
      EXPECT_EQ(memcmp(&alone[i], &all[i * num_tasks + task], sizeof(float)), 0)
          << "candidate " << i << ", task " << task;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Precisions, LesserProcessorTest,
                         ::testing::Values(Precision::kBf16, Precision::kInt8),
                         [](const auto& info) {
                           return PrecisionName(info.param);
                         });

}  // namespace
}  // namespace qlarank::testing
