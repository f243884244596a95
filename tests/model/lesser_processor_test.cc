// What the engine does on a processor without AVX-512, which has no bfloat16
// and other kernels for 8 bits. oneDNN is told so before anybody looks.

#include <stdlib.h>

#include <cstring>

#include "gtest/gtest.h"
#include "model/precision.h"
#include "tests/model/golden.h"

namespace qlarank::testing {
namespace {

const bool kIsLesser = setenv("DNNL_MAX_CPU_ISA", "AVX2", 1) == 0;

// Of all candidates of the first case.
std::vector<float> Scores(const GoldenModel& model) {
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

TEST(LesserProcessorTest, ScoresInFloat32InsteadOfWhatItLacks) {
  ASSERT_TRUE(kIsLesser);
  EXPECT_FALSE(ProcessorHas(Precision::kBf16));
  EXPECT_TRUE(ProcessorHas(Precision::kF32));
  const std::string name = "all_l4_decay_conv_everything";
  const std::vector<float> expected = Scores(LoadGoldenModel(name));
  ASSERT_FALSE(expected.empty());
  for (const Precision lacking : {Precision::kBf16, Precision::kInt8}) {
    if (ProcessorHas(lacking)) continue;
    const GoldenModel model = LoadGoldenModel(name, lacking);
    EXPECT_EQ(model.engine->precision(), Precision::kF32);
    const std::vector<float> scores = Scores(model);
    ASSERT_EQ(scores.size(), expected.size());
    EXPECT_EQ(
        memcmp(scores.data(), expected.data(), scores.size() * sizeof(float)),
        0);
  }
}

#ifdef QLARANK_ONLY_INT8
// engine_test.cc is part of this program, too: all that it asks of int8 is
// asked of these kernels.
TEST(LesserProcessorTest, HasInt8OfItsOwn) {
  ASSERT_TRUE(kIsLesser);
  EXPECT_EQ(Int8KernelsOfProcessor(), &kernels::kAvx2Int8);
  EXPECT_TRUE(ProcessorHas(Precision::kInt8));
}
#else
// Nothing of x86-64 is part of this program.
TEST(LesserProcessorTest, HasNoInt8) {
  EXPECT_EQ(Int8KernelsOfProcessor(), nullptr);
  EXPECT_FALSE(ProcessorHas(Precision::kInt8));
}
#endif

}  // namespace
}  // namespace qlarank::testing
