// Requests with the same inputs have the same reading, and whatever a reading
// depends on is among them.
#include "model/reading_inputs.h"

#include <cstring>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "model/bundle_schema.h"
#include "tests/model/golden.h"

namespace qlarank::testing {
namespace {

constexpr int64_t kSecondUs = 1'000'000;
constexpr size_t kEvents = 40;

class ReadingInputsTest : public ::testing::TestWithParam<std::string> {
 protected:
  ReadingInputsTest() : model_(LoadGoldenModel(GetParam())) {}

  // All that a reading can be seen by.
  std::string Bits(const UserState& state, const RequestView& request) {
    const auto reading = model_.engine->Read(state, request, *scratch_);
    const GoldenCase& golden = model_.cases.front();
    std::vector<float> seen(golden.item_rows.size() *
                            model_.engine->num_tasks());
    model_.engine->Score(*reading, golden.item_rows, golden.candidate_features,
                         absl::MakeSpan(seen), *scratch_);
    seen.insert(seen.end(), reading->user_vector().begin(),
                reading->user_vector().end());
    return std::string(reinterpret_cast<const char*>(seen.data()),
                       seen.size() * sizeof(float));
  }

  // Both, and whether what the requests give is the same.
  void ExpectEqual(const UserState& state, const RequestView& a,
                   const RequestView& b) {
    EXPECT_EQ(ReadingInputs(state, a), ReadingInputs(state, b));
    EXPECT_EQ(Bits(state, a), Bits(state, b));
  }
  void ExpectDifferent(const UserState& state, const RequestView& a,
                       const RequestView& b) {
    EXPECT_NE(ReadingInputs(state, a), ReadingInputs(state, b));
    EXPECT_NE(Bits(state, a), Bits(state, b));
  }

  std::shared_ptr<const UserState> Longest() {
    return FoldHistory(model_, "long", kEvents);
  }
  std::vector<ModelEvent> Recent(size_t n) {
    const auto events = model_.histories.at("long").First(kEvents + n);
    return {events.begin() + kEvents, events.end()};
  }

  const GoldenModel model_;
  const std::unique_ptr<EngineScratch> scratch_ = model_.engine->NewScratch();
};

// Nothing but the bucket of the gap to the newest event, at its very edges.
TEST_P(ReadingInputsTest, OfTheTimeTheBucketCounts) {
  const auto state = Longest();
  const std::vector<ModelEvent> recent = Recent(2);
  for (const bool with_recent : {false, true}) {
    const int64_t newest =
        with_recent ? recent.back().time_us : state->pending_time_us;
    const auto at = [&](int64_t gap_us) {
      RequestView request{newest + gap_us, {}, {}};
      if (with_recent) request.recent_events = recent;
      return request;
    };
    ExpectEqual(*state, at(-kSecondUs), at(kSecondUs - 1));
    for (const int64_t first : {1, 3, 7, 1023, 65'535}) {
      ExpectEqual(*state, at(first * kSecondUs),
                  at((2 * first + 1) * kSecondUs - 1));
      ExpectDifferent(*state, at(first * kSecondUs - 1), at(first * kSecondUs));
    }
  }
}

TEST_P(ReadingInputsTest, WithoutEventsTheTimeDoesNotCount) {
  ExpectEqual(*model_.engine->empty_state(), {1, {}, {}},
              {5'000'000 * kSecondUs, {}, {}});
}

TEST_P(ReadingInputsTest, EveryContextFeatureCounts) {
  const auto state = Longest();
  const int64_t now = state->pending_time_us;
  const std::vector<uint32_t> rows(
      model_.bundle->spec().context_features_size());
  const bool target_aware = IsTargetAware(model_.bundle->spec());
  for (size_t i = 0; i < rows.size(); ++i) {
    std::vector<uint32_t> other = rows;
    other[i] = 1;
    EXPECT_NE(ReadingInputs(*state, {now, {}, rows}),
              ReadingInputs(*state, {now, {}, other}));
    if (target_aware) ExpectDifferent(*state, {now, {}, rows}, {now, {}, other});
  }
}

TEST_P(ReadingInputsTest, EverythingOfARecentEventCounts) {
  const auto state = Longest();
  const std::vector<ModelEvent> recent = Recent(3);
  const int64_t now = recent.back().time_us + 100'000 * kSecondUs;
  const RequestView request{now, recent, {}};
  ExpectDifferent(*state, request, {now, {}, {}});
  ExpectDifferent(*state, request,
                  {now, absl::MakeSpan(recent).subspan(1), {}});
  for (size_t i = 0; i < recent.size(); ++i) {
    std::vector<ModelEvent> other = recent;
    other[i].item_row = recent[i].item_row == 1 ? 2 : 1;
    ExpectDifferent(*state, request, {now, other, {}});
    other = recent;
    other[i].action = recent[i].action == 0 ? Bundle::kUnknownAction : 0;
    ExpectDifferent(*state, request, {now, other, {}});
    std::vector<float> features(recent[i].features.begin(),
                                recent[i].features.end());
    for (size_t f = 0; f < features.size(); ++f) {
      features[f] += 1.0f;
      other = recent;
      other[i].features = features;
      ExpectDifferent(*state, request, {now, other, {}});
      features[f] -= 1.0f;
    }
    // A gap to a neighbour may stay in its bucket.
    other = recent;
    other[i].time_us -= 1;
    EXPECT_NE(ReadingInputs(*state, request),
              ReadingInputs(*state, {now, other, {}}));
  }
}

// Bits, where values are equal.
TEST_P(ReadingInputsTest, MinusZeroIsNotZero) {
  if (model_.bundle->spec().event_features_size() == 0) return;
  const size_t n = model_.bundle->spec().event_features_size();
  const std::vector<float> zeros(n, 0.0f), minus_zeros(n, -0.0f);
  const std::vector<ModelEvent> a = {{1, 0, kSecondUs, zeros}};
  const std::vector<ModelEvent> b = {{1, 0, kSecondUs, minus_zeros}};
  const UserState& empty = *model_.engine->empty_state();
  EXPECT_NE(ReadingInputs(empty, {kSecondUs, a, {}}),
            ReadingInputs(empty, {kSecondUs, b, {}}));
}

INSTANTIATE_TEST_SUITE_P(Models, ReadingInputsTest,
                         ::testing::ValuesIn(GoldenModelNames()),
                         [](const auto& info) { return info.param; });

}  // namespace
}  // namespace qlarank::testing
