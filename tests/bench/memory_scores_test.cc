// What item memory does to scores (docs/model.md section 11): a model with one
// scores as the same model without, to which the facts come with each request
// as candidate features. The facts are those of plain code, so all of it is
// independent of the engine's memory.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <random>
#include <string>
#include <tuple>
#include <vector>

#include "absl/strings/str_cat.h"
#include "bench/random_bundle.h"
#include "model/engine.h"
#include "model/reading_inputs.h"
#include "tests/model/plain_memory.h"

namespace qlarank::testing {
namespace {

using ::testing::HasSubstr;

constexpr uint32_t kRows = 30;  // 0 ... 29
constexpr size_t kEntries = 16;
constexpr int64_t kSecondUs = 1'000'000;

std::string BytesOf(absl::Span<const float> values) {
  return {reinterpret_cast<const char*>(values.data()),
          values.size() * sizeof(float)};
}

model::v1::ModelSpec SpecOf(model::v1::TargetAware target_aware) {
  model::v1::ModelSpec spec =
      bench::PlainSpec(/*d_model=*/32, /*num_heads=*/2, /*num_layers=*/2,
                       /*conv_width=*/3, target_aware, kRows - 1);
  spec.mutable_item_memory()->set_entries(kEntries);
  for (const uint64_t seconds : {3600, 86'400, 600'000}) {
    spec.mutable_item_memory()->add_half_lives_s(seconds);
  }
  for (const char* task : {"buy", "like"}) {
    spec.add_tasks()->set_name(task);
  }
  spec.add_candidate_features("bid");
  spec.set_num_seeds(8);
  spec.set_summary_attention(true);
  return spec;
}

// [rows, a] and [rows, b] side by side.
std::vector<float> Beside(absl::Span<const float> a, absl::Span<const float> b,
                          size_t rows) {
  std::vector<float> both;
  for (size_t row = 0; row < rows; ++row) {
    for (const auto& matrix : {a, b}) {
      const auto part =
          matrix.subspan(row * (matrix.size() / rows), matrix.size() / rows);
      both.insert(both.end(), part.begin(), part.end());
    }
  }
  return both;
}

// The same model where facts are candidate features.
std::shared_ptr<const Bundle> WithFactsAsFeatures(const Bundle& bundle) {
  model::v1::ModelSpec spec = bundle.spec();
  for (uint32_t j = 0; j < NumMemoryFacts(bundle.spec()); ++j) {
    spec.add_candidate_features(absl::StrCat("fact ", j));
  }
  spec.clear_item_memory();
  return bench::BundleOf(spec, [&](const TensorSchema& tensor) {
    if (tensor.dtype == DType::kU64) {
      return std::string(
          reinterpret_cast<const char*>(bundle.item_ids().data()),
          bundle.item_ids().size() * sizeof(uint64_t));
    }
    if (tensor.name != "candidate_projection") {
      return BytesOf(bundle.tensor(tensor.name));
    }
    return BytesOf(Beside(bundle.tensor("candidate_projection"),
                          bundle.tensor("memory_projection"), spec.d_model()));
  });
}

using FormPrecisionAndShares =
    std::tuple<model::v1::TargetAware, Precision, bool>;

class MemoryScoresTest
    : public ::testing::TestWithParam<FormPrecisionAndShares> {
 protected:
  using State = std::shared_ptr<const UserState>;

  MemoryScoresTest()
      : engine_(*Engine::Create(
            bench::RandomBundle(SpecOf(std::get<0>(GetParam()))), Options())),
        scratch_(engine_->NewScratch()) {}

  void SetUp() override {
    if (!ProcessorHas(Options().precision)) {
      GTEST_SKIP() << "no " << PrecisionName(Options().precision)
                   << " on this processor";
    }
  }

  static Engine::Options Options() {
    const auto& [form, precision, shares] = GetParam();
    return {precision, shares ? size_t{1} << 30 : 0};
  }

  static State Fold(const Engine& engine, State before,
                    absl::Span<const ModelEvent> events) {
    FoldJob job{std::move(before), events, nullptr};
    engine.Fold(absl::MakeSpan(&job, 1), *engine.NewScratch());
    return job.after;
  }
  State Fold(absl::Span<const ModelEvent> events) {
    return Fold(*engine_, engine_->empty_state(), events);
  }

  // Every row, some twice.
  static std::vector<uint32_t> Candidates() {
    std::vector<uint32_t> rows;
    for (uint32_t i = 0; i < 70; ++i) rows.push_back(i * 7 % kRows);
    return rows;
  }
  static float BidOf(size_t i) { return 0.25f * (i % 5); }

  std::vector<float> Scores(const Reading& reading,
                            absl::Span<const uint32_t> rows,
                            absl::Span<const uint32_t> tasks) {
    std::vector<float> bids, scores(rows.size() * tasks.size());
    for (size_t i = 0; i < rows.size(); ++i) bids.push_back(BidOf(i));
    engine_->Score(reading, rows, bids, tasks, absl::MakeSpan(scores),
                   *scratch_);
    return scores;
  }
  std::vector<float> Scores(const UserState& state,
                            const RequestView& request) {
    return Scores(*engine_->Read(state, request, *scratch_), Candidates(),
                  engine_->all_tasks());
  }

  const std::unique_ptr<const Engine> engine_;
  const std::unique_ptr<EngineScratch> scratch_;
};

TEST_P(MemoryScoresTest, AreThoseOfFactsAsFeatures) {
  const Bundle& bundle = engine_->bundle();
  const auto plain = *Engine::Create(WithFactsAsFeatures(bundle), Options());
  const size_t num_facts = NumMemoryFacts(bundle.spec());
  const auto head = bundle.tensor("memory_head");
  const std::vector<uint32_t> rows = Candidates();
  bool any = false;
  for (const size_t num_events : {0, 1, 2, 40, 300}) {
    const auto events = MemoryEvents(num_events, kRows, 11);
    PlainMemory memory(bundle.spec().item_memory());
    for (const auto& event : events) memory.Fold(event.item_row, event.time_us);
    const int64_t newest_us = events.empty() ? 0 : events.back().time_us;
    for (const int64_t gap_s : {0, 1, 50, 100'000, 40'000'000}) {
      const RequestView request{newest_us + gap_s * kSecondUs, {}, {}};
      // The least gap of its bucket.
      const int64_t power = std::floor(std::log2(1 + gap_s));
      const int64_t as_of_s =
          FloorSeconds(newest_us) + (int64_t{1} << power) - 1;
      std::vector<float> features, terms;
      for (size_t i = 0; i < rows.size(); ++i) {
        const std::vector<float> facts = memory.Facts(rows[i], as_of_s);
        any = any || facts[0] == 1;
        features.push_back(BidOf(i));
        features.insert(features.end(), facts.begin(), facts.end());
        for (size_t task = 0; task < engine_->num_tasks(); ++task) {
          float term = 0;
          for (size_t j = 0; j < num_facts; ++j) {
            term = std::fma(facts[j], head[task * num_facts + j], term);
          }
          terms.push_back(term);
        }
      }
      const State state = Fold(*plain, plain->empty_state(), events);
      std::vector<float> expected(terms.size());
      const auto scratch = plain->NewScratch();
      plain->Score(*plain->Read(*state, request, *scratch), rows, features,
                   absl::MakeSpan(expected), *scratch);
      for (size_t i = 0; i < terms.size(); ++i) expected[i] += terms[i];
      ASSERT_EQ(BytesOf(Scores(*Fold(events), request)), BytesOf(expected))
          << num_events << " events, " << gap_s << " s later";
    }
  }
  EXPECT_TRUE(any);
}

TEST_P(MemoryScoresTest, RecentEventsCountAsStoredOnes) {
  const auto events = MemoryEvents(60, kRows, 2);
  const auto all = absl::MakeSpan(events);
  const int64_t now_us = events.back().time_us + 100 * kSecondUs;
  EXPECT_EQ(
      BytesOf(Scores(*Fold(all.first(50)), {now_us, all.subspan(50), {}})),
      BytesOf(Scores(*Fold(all), {now_us, {}, {}})));
  EXPECT_EQ(BytesOf(Scores(*engine_->empty_state(), {now_us, all, {}})),
            BytesOf(Scores(*Fold(all), {now_us, {}, {}})));
}

TEST_P(MemoryScoresTest, NoCandidateAndNoTaskDependsOnOthers) {
  const State state = Fold(MemoryEvents(300, kRows, 3));
  const auto reading = engine_->Read(
      *state, {state->pending_time_us + kSecondUs, {}, {}}, *scratch_);
  const std::vector<uint32_t> rows = Candidates();
  const auto all = Scores(*reading, rows, engine_->all_tasks());
  for (size_t i = 0; i < rows.size(); ++i) {
    const std::vector<float> bid = {BidOf(i)};
    for (const uint32_t task : engine_->all_tasks()) {
      float score = 0;
      engine_->Score(*reading, {&rows[i], 1}, bid, {&task, 1}, {&score, 1},
                     *scratch_);
      ASSERT_EQ(BytesOf({&score, 1}),
                BytesOf({&all[i * engine_->num_tasks() + task], 1}));
    }
  }
}

// A reading is kept as long as its inputs stay: so must all that it says.
TEST_P(MemoryScoresTest, AreTheSameAsLongAsTheReadingsInputs) {
  const State state = Fold(MemoryEvents(100, kRows, 4));
  const auto at = [&](int64_t gap_us) {
    return RequestView{state->pending_time_us + gap_us, {}, {}};
  };
  for (const int64_t first : {0, 1, 3, 7, 1023, 65'535}) {
    const RequestView early = at(first * kSecondUs);
    const RequestView late = at((2 * first + 1) * kSecondUs - 1);
    const RequestView next = at((2 * first + 1) * kSecondUs);
    EXPECT_EQ(ReadingInputs(*state, early), ReadingInputs(*state, late));
    EXPECT_EQ(BytesOf(Scores(*state, early)), BytesOf(Scores(*state, late)));
    EXPECT_NE(ReadingInputs(*state, early), ReadingInputs(*state, next));
    EXPECT_NE(BytesOf(Scores(*state, early)), BytesOf(Scores(*state, next)));
  }
}

TEST_P(MemoryScoresTest, ReadingsSayWhatTheyTakeAndWhetherTheyAreFinite) {
  const State state = Fold(MemoryEvents(100, kRows, 5));
  const auto empty =
      engine_->Read(*engine_->empty_state(), {0, {}, {}}, *scratch_);
  const auto full = engine_->Read(*state, {0, {}, {}}, *scratch_);
  EXPECT_EQ(empty->size_bytes(), full->size_bytes());
  const size_t floats = kEntries * (NumMemoryFacts(engine_->bundle().spec()) +
                                    engine_->num_tasks());
  const auto plain = *Engine::Create(WithFactsAsFeatures(engine_->bundle()));
  const auto without =
      plain->Read(*plain->empty_state(), {0, {}, {}}, *plain->NewScratch());
  EXPECT_GE(full->size_bytes(), without->size_bytes() + floats * sizeof(float));
  EXPECT_TRUE(full->finite());
}

std::string NameOf(
    const ::testing::TestParamInfo<FormPrecisionAndShares>& info) {
  const auto& [form, precision, shares] = info.param;
  return absl::StrCat(
      form == model::v1::TARGET_AWARE_ALL_LAYERS ? "all_layers" : "block", "_",
      PrecisionName(precision), shares ? "" : "_without_shares");
}

INSTANTIATE_TEST_SUITE_P(
    Models, MemoryScoresTest,
    ::testing::Combine(
        ::testing::Values(model::v1::TARGET_AWARE_ALL_LAYERS,
                          model::v1::TARGET_AWARE_DEDICATED_BLOCK),
        ::testing::Values(Precision::kF32, Precision::kBf16, Precision::kInt8),
        ::testing::Bool()),
    NameOf);

// Heads that are too large make no score, and a reading says so.
TEST(MemoryOverflowTest, IsNotFinite) {
  const auto bundle =
      bench::RandomBundle(SpecOf(model::v1::TARGET_AWARE_DEDICATED_BLOCK));
  const auto overflowing =
      bench::BundleOf(bundle->spec(), [&](const TensorSchema& tensor) {
        if (tensor.dtype == DType::kU64) {
          return std::string(
              reinterpret_cast<const char*>(bundle->item_ids().data()),
              bundle->item_ids().size() * sizeof(uint64_t));
        }
        const auto values = bundle->tensor(tensor.name);
        if (tensor.name != "memory_head") return BytesOf(values);
        return BytesOf(std::vector<float>(values.size(), 3e38f));
      });
  const auto engine = *Engine::Create(overflowing);
  const auto scratch = engine->NewScratch();
  const auto events = MemoryEvents(20, kRows, 1);
  FoldJob job{engine->empty_state(), events, nullptr};
  engine->Fold(absl::MakeSpan(&job, 1), *scratch);
  EXPECT_TRUE(
      engine->Read(*engine->empty_state(), {0, {}, {}}, *scratch)->finite());
  EXPECT_FALSE(engine->Read(*job.after, {0, {}, {}}, *scratch)->finite());
}

// docs/storage.md: behind the values, and in a format of its own.
class MemoryStateBytesTest : public ::testing::Test {
 protected:
  MemoryStateBytesTest()
      : engine_(*Engine::Create(bench::RandomBundle(
            SpecOf(model::v1::TARGET_AWARE_DEDICATED_BLOCK)))) {
    FoldJob job{engine_->empty_state(), events_, nullptr};
    engine_->Fold(absl::MakeSpan(&job, 1), *engine_->NewScratch());
    state_ = job.after;
    bytes_ = engine_->SerializeState(*state_);
  }

  void ExpectRefused(const std::string& message) {
    const absl::Status status = engine_->ParseState(bytes_).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
    EXPECT_THAT(std::string(status.message()), HasSubstr(message));
  }

  const std::vector<ModelEvent> events_ = MemoryEvents(100, kRows, 6);
  const std::unique_ptr<const Engine> engine_;
  std::shared_ptr<const UserState> state_;
  std::string bytes_;
};

constexpr size_t kMemoryBytes = kEntries * (24 + 4 * sizeof(float));

TEST_F(MemoryStateBytesTest, HoldTheMemoryBehindTheValues) {
  EXPECT_EQ(bytes_[0], 3);
  EXPECT_EQ(bytes_.size(),
            48 + state_->values.size() * sizeof(float) + kMemoryBytes);
  EXPECT_EQ(engine_->SerializeState(*engine_->empty_state()).size(),
            bytes_.size());
  EXPECT_EQ(engine_->empty_state()->size_bytes(), state_->size_bytes());
  EXPECT_GT(state_->size_bytes(), bytes_.size());
}

TEST_F(MemoryStateBytesTest, RoundTripAndGoOnBitForBit) {
  for (const size_t cut : {0, 1, 2, 50}) {
    FoldJob first{engine_->empty_state(), absl::MakeSpan(events_).first(cut),
                  nullptr};
    engine_->Fold(absl::MakeSpan(&first, 1), *engine_->NewScratch());
    const std::string bytes = engine_->SerializeState(*first.after);
    const auto parsed = engine_->ParseState(bytes);
    ASSERT_TRUE(parsed.ok()) << parsed.status();
    EXPECT_EQ(engine_->SerializeState(**parsed), bytes);
    FoldJob rest{*parsed, absl::MakeSpan(events_).subspan(cut), nullptr};
    engine_->Fold(absl::MakeSpan(&rest, 1), *engine_->NewScratch());
    EXPECT_EQ(engine_->SerializeState(*rest.after), bytes_);
  }
}

TEST_F(MemoryStateBytesTest, RefusesWhatIsDamaged) {
  const std::string healthy = bytes_;
  bytes_[0] = 2;
  ExpectRefused("format 2; expected 3");
  bytes_ = healthy.substr(0, healthy.size() - 1);
  ExpectRefused("16 entries");
  bytes_ = healthy + '\0';
  ExpectRefused("16 entries");
  bytes_ = healthy;
  const uint32_t beyond = kRows;
  std::memcpy(bytes_.data() + bytes_.size() - kMemoryBytes, &beyond,
              sizeof(beyond));
  ExpectRefused("item memory, entry 0: item row 30; the model has 30");
}

TEST_F(MemoryStateBytesTest, WithoutMemoryAreAsTheyWere) {
  const auto plain = *Engine::Create(WithFactsAsFeatures(engine_->bundle()));
  FoldJob job{plain->empty_state(), events_, nullptr};
  plain->Fold(absl::MakeSpan(&job, 1), *plain->NewScratch());
  std::string expected = bytes_.substr(0, bytes_.size() - kMemoryBytes);
  expected[0] = 2;
  EXPECT_EQ(plain->SerializeState(*job.after), expected);
  EXPECT_NE(plain->bundle().fingerprint(), engine_->bundle().fingerprint());
  bytes_ = expected;
  ExpectRefused("format 2; expected 3");
  const auto refused =
      plain->ParseState(engine_->SerializeState(*state_)).status();
  EXPECT_THAT(std::string(refused.message()), HasSubstr("format 3"));
}

}  // namespace
}  // namespace qlarank::testing
