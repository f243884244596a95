// The engine against the trainer's float64 reference, configuration by
// configuration: scores, user vectors, summaries and the state itself. With the
// kernels of every instruction set that this processor has, so that a machine
// with the largest one tests what smaller ones run.

#include "tests/model/golden.h"

#include <gtest/gtest.h>

#include <cmath>

#include "hwy/highway.h"
#include "model/kernels.h"

namespace qlarank::testing {
namespace {

constexpr double kRelativeTolerance = 1e-4;
// Below this magnitude a value is compared absolutely: logits around 0 carry
// the rounding of the larger terms that cancel in them.
constexpr double kFloor = 0.1;
// A summary is a row whose elements share one normalisation: they round as its
// root mean square, about 1, does.
constexpr double kSummaryFloor = 1;

template <typename Actual>
void ExpectClose(const Actual& actual, const std::vector<double>& expected,
                 const std::string& what, double floor = kFloor) {
  ASSERT_EQ(actual.size(), expected.size()) << what;
  for (size_t i = 0; i < expected.size(); ++i) {
    const double bound =
        kRelativeTolerance * std::max(std::abs(expected[i]), floor);
    EXPECT_NEAR(actual[i], expected[i], bound) << what << " [" << i << "]";
  }
}

using ModelAndTarget = std::tuple<std::string, int64_t>;

class GoldenTest : public ::testing::TestWithParam<ModelAndTarget> {
 protected:
  GoldenTest() { Use(target()); }
  ~GoldenTest() override { Use(0); }

  static int64_t target() { return std::get<1>(GetParam()); }

 private:
  // 0: whatever the processor has.
  static void Use(int64_t target) {
    hwy::SetSupportedTargetsForTest(target);
    hwy::GetChosenTarget().DeInit();
  }
};

TEST_P(GoldenTest, ScoresAndStatesAgreeWithTheReference) {
  const GoldenModel model = LoadGoldenModel(std::get<0>(GetParam()));
  ASSERT_EQ(kernels::TargetName(), hwy::TargetName(target()));
  EXPECT_EQ(model.engine->state_fingerprint(),
            model.bundle->fingerprint() + ".f32v5");
  const auto scratch = model.engine->NewScratch();
  ASSERT_FALSE(model.cases.empty());
  size_t num_summaries = 0;
  for (const GoldenCase& golden : model.cases) {
    SCOPED_TRACE(golden.name);
    const auto state = FoldHistory(model, golden.history, golden.num_events);
    EXPECT_EQ(state->event_count, golden.num_events);
    if (!golden.state.empty()) {
      ExpectClose(state->values, golden.state, "state");
    }
    if (!golden.summaries.empty()) {
      num_summaries += golden.summaries.size() / model.bundle->spec().d_model();
      ExpectClose(model.engine->Summarize(*state, *scratch)->values,
                  golden.summaries, "summaries", kSummaryFloor);
    }

    const auto recent = golden.recent_events.First(golden.recent_events.size());
    const auto reading = model.engine->Read(
        *state, {golden.request_time_us, recent, golden.context_rows},
        *scratch);
    ExpectClose(reading->user_vector(), golden.user_vector, "user_vector");

    std::vector<float> scores(golden.item_rows.size() *
                              model.engine->num_tasks());
    model.engine->Score(*reading, golden.item_rows, golden.candidate_features,
                        absl::MakeSpan(scores), *scratch);
    ExpectClose(scores, golden.scores, "scores");
  }
  EXPECT_EQ(num_summaries > 0, model.engine->num_seeds() > 0);
}

INSTANTIATE_TEST_SUITE_P(
    Models, GoldenTest,
    ::testing::Combine(
        ::testing::ValuesIn(GoldenModelNames()),
        ::testing::ValuesIn(hwy::SupportedAndGeneratedTargets())),
    [](const auto& info) {
      return std::get<0>(info.param) + "_" +
             hwy::TargetName(std::get<1>(info.param));
    });

}  // namespace
}  // namespace qlarank::testing
