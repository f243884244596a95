// What serving rests on: a row's bits depend on nothing but the row.

#include "model/engine.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <numeric>
#include <random>
#include <tuple>

#include "tests/model/golden.h"
#include "tests/testing/temp_dir.h"

namespace qlarank::testing {
namespace {

using ::testing::ElementsAreArray;

constexpr int64_t kRequestTimeUs = 1'600'000'000'000'000;

// Bits, not values: NaN equals itself and 0 differs from -0.
std::vector<uint32_t> Bits(absl::Span<const float> values) {
  std::vector<uint32_t> bits(values.size());
  std::memcpy(bits.data(), values.data(), values.size() * sizeof(float));
  return bits;
}

// Candidates with the features that the model asks for.
struct Candidates {
  std::vector<uint32_t> rows;
  std::vector<float> features;
  size_t num_features = 0;

  Candidates Pick(absl::Span<const size_t> indexes) const {
    Candidates picked;
    picked.num_features = num_features;
    for (size_t i : indexes) {
      picked.rows.push_back(rows[i]);
      picked.features.insert(picked.features.end(),
                             features.begin() + i * num_features,
                             features.begin() + (i + 1) * num_features);
    }
    return picked;
  }
};

// A golden model's name and what its candidates are scored in.
using ModelAndPrecision = std::tuple<std::string, Precision>;

class EngineTest : public ::testing::TestWithParam<ModelAndPrecision> {
 protected:
  EngineTest()
      : model_(LoadGoldenModel(std::get<0>(GetParam()), precision())),
        engine_(*model_.engine),
        scratch_(engine_.NewScratch()) {}

  void SetUp() override {
    if (!ProcessorHas(precision())) {
      GTEST_SKIP() << "no " << PrecisionName(precision())
                   << " on this processor";
    }
    ASSERT_EQ(engine_.precision(), precision());
  }

  static Precision precision() { return std::get<1>(GetParam()); }

  Candidates RandomCandidates(size_t n) {
    Candidates candidates;
    candidates.num_features = engine_.bundle().spec().candidate_features_size();
    std::uniform_int_distribution<uint32_t> row(
        0, engine_.bundle().spec().num_items());
    std::normal_distribution<float> feature;
    for (size_t i = 0; i < n; ++i) candidates.rows.push_back(row(random_));
    for (size_t i = 0; i < n * candidates.num_features; ++i) {
      candidates.features.push_back(feature(random_));
    }
    return candidates;
  }

  std::vector<float> Score(const Reading& reading,
                           const Candidates& candidates) {
    std::vector<float> scores(candidates.rows.size() * engine_.num_tasks());
    engine_.Score(reading, candidates.rows, candidates.features,
                  absl::MakeSpan(scores), *scratch_);
    return scores;
  }

  std::unique_ptr<const Reading> ReadLongHistory() {
    return engine_.Read(*FoldHistory(model_, "long", 300),
                        {kRequestTimeUs, {}, {}}, *scratch_);
  }

  // Of the same user by another engine of the model.
  std::vector<float> ScoresOf(const Engine& engine,
                              const Candidates& candidates) {
    const auto scratch = engine.NewScratch();
    const auto reading = engine.Read(*FoldHistory(model_, "long", 300),
                                     {kRequestTimeUs, {}, {}}, *scratch);
    std::vector<float> scores(candidates.rows.size() * engine.num_tasks());
    engine.Score(*reading, candidates.rows, candidates.features,
                 absl::MakeSpan(scores), *scratch);
    return scores;
  }

  std::shared_ptr<const UserState> FoldInPieces(
      absl::Span<const ModelEvent> events, size_t piece) {
    std::shared_ptr<const UserState> state = engine_.empty_state();
    for (size_t i = 0; i < events.size(); i += piece) {
      FoldJob job{state, events.subspan(i, piece), nullptr};
      engine_.Fold(absl::MakeSpan(&job, 1), *scratch_);
      state = job.after;
    }
    return state;
  }

  GoldenModel model_;
  const Engine& engine_;
  std::unique_ptr<EngineScratch> scratch_;
  std::mt19937 random_{20251122};
};

TEST_P(EngineTest, ScoreIsBitwiseTheSameAloneAndAmong5000) {
  const auto reading = ReadLongHistory();
  const Candidates all = RandomCandidates(5000);
  const std::vector<float> together = Score(*reading, all);
  const size_t tasks = engine_.num_tasks();
  for (size_t i = 0; i < all.rows.size(); i += 7) {
    const std::vector<float> alone = Score(*reading, all.Pick({i}));
    ASSERT_THAT(Bits(alone),
                ElementsAreArray(
                    Bits(absl::MakeSpan(together).subspan(i * tasks, tasks))))
        << "candidate " << i;
  }
}

TEST_P(EngineTest, ScoreIsBitwiseTheSameWhenPermuted) {
  const auto reading = ReadLongHistory();
  const Candidates all = RandomCandidates(1000);
  const std::vector<float> together = Score(*reading, all);
  std::vector<size_t> order(all.rows.size());
  std::iota(order.begin(), order.end(), 0);
  std::shuffle(order.begin(), order.end(), random_);
  const std::vector<float> permuted = Score(*reading, all.Pick(order));
  const size_t tasks = engine_.num_tasks();
  for (size_t i = 0; i < order.size(); ++i) {
    ASSERT_EQ(std::memcmp(&permuted[i * tasks], &together[order[i] * tasks],
                          tasks * sizeof(float)),
              0)
        << "candidate " << order[i];
  }
}

// Every number of rows in a tile, and every position.
TEST_P(EngineTest, ScoreIsBitwiseTheSameAtAnyTilePosition) {
  const auto reading = ReadLongHistory();
  const Candidates probe = RandomCandidates(1);
  const std::vector<uint32_t> expected = Bits(Score(*reading, probe));
  for (size_t n = 1; n <= 70; ++n) {
    Candidates tile = RandomCandidates(n);
    const size_t position = random_() % n;
    tile.rows[position] = probe.rows[0];
    std::copy(probe.features.begin(), probe.features.end(),
              tile.features.begin() + position * tile.num_features);
    const std::vector<float> scores = Score(*reading, tile);
    const size_t tasks = engine_.num_tasks();
    ASSERT_THAT(Bits(absl::MakeSpan(scores).subspan(position * tasks, tasks)),
                ElementsAreArray(expected))
        << n << " rows, position " << position;
  }
}

// Alone, in any order, some or all of them.
TEST_P(EngineTest, ATaskScoresBitwiseTheSameWhateverOthersAreAskedFor) {
  const auto reading = ReadLongHistory();
  const Candidates all = RandomCandidates(100);
  const std::vector<float> expected = Score(*reading, all);
  const size_t num_tasks = engine_.num_tasks();
  const auto expect_the_same = [&](std::vector<uint32_t> tasks) {
    std::vector<float> scores(all.rows.size() * tasks.size());
    engine_.Score(*reading, all.rows, all.features, tasks,
                  absl::MakeSpan(scores), *scratch_);
    for (size_t i = 0; i < scores.size(); ++i) {
      const uint32_t task = tasks[i % tasks.size()];
      const size_t row = i / tasks.size();
      ASSERT_EQ(Bits({&scores[i], 1}),
                Bits({&expected[row * num_tasks + task], 1}))
          << "candidate " << row << ", task " << task << " of "
          << tasks.size();
    }
  };
  const std::vector<uint32_t> in_order(engine_.all_tasks().begin(),
                                       engine_.all_tasks().end());
  for (const uint32_t task : in_order) expect_the_same({task});
  expect_the_same(in_order);
  expect_the_same({in_order.rbegin(), in_order.rend()});
  expect_the_same({in_order.begin() + num_tasks / 2, in_order.end()});
}

TEST_P(EngineTest, StateIsBitwiseTheSameHoweverTheLogIsCut) {
  const auto events = model_.histories.at("long").First(200);
  const std::string expected =
      engine_.SerializeState(*FoldInPieces(events, events.size()));
  for (size_t piece : {1, 2, 3, 64}) {
    EXPECT_EQ(engine_.SerializeState(*FoldInPieces(events, piece)), expected)
        << "pieces of " << piece;
  }
}

// 100 users of different lengths share tiles; each state is as if folded alone.
TEST_P(EngineTest, StateIsBitwiseTheSameWhoeverElseIsFolded) {
  const auto events = model_.histories.at("long").First(150);
  std::vector<FoldJob> jobs;
  for (size_t user = 0; user < 100; ++user) {
    const size_t first = random_() % 50;
    const size_t count = random_() % 100;
    jobs.push_back({engine_.empty_state(),
                    absl::MakeSpan(events).subspan(first, count), nullptr});
  }
  engine_.Fold(absl::MakeSpan(jobs), *scratch_);
  for (const FoldJob& job : jobs) {
    EXPECT_EQ(engine_.SerializeState(*job.after),
              engine_.SerializeState(
                  *FoldInPieces(job.events, job.events.size() + 1)));
  }
}

TEST_P(EngineTest, ReadingLeavesTheStateAlone) {
  const auto state = FoldHistory(model_, "long", 20);
  const std::string before = engine_.SerializeState(*state);
  const auto recent = model_.histories.at("long").First(25);
  engine_.Read(*state, {kRequestTimeUs, absl::MakeSpan(recent).subspan(20), {}},
               *scratch_);
  EXPECT_EQ(engine_.SerializeState(*state), before);
}

// recent_events count exactly as if they had been stored.
TEST_P(EngineTest, RecentEventsScoreAsStoredEvents) {
  const auto events = model_.histories.at("long").First(25);
  const Candidates candidates = RandomCandidates(100);
  const auto stored = engine_.Read(*FoldHistory(model_, "long", 25),
                                   {kRequestTimeUs, {}, {}}, *scratch_);
  const auto before = FoldHistory(model_, "long", 20);
  // The stored state's summary is of no use for them.
  std::shared_ptr<const UserSummary> summary;
  if (engine_.num_seeds() > 0) summary = engine_.Summarize(*before, *scratch_);
  const auto recent = engine_.Read(
      *before, {kRequestTimeUs, absl::MakeSpan(events).subspan(20), {}},
      *scratch_, summary);
  EXPECT_EQ(Bits(Score(*stored, candidates)), Bits(Score(*recent, candidates)));
}

TEST_P(EngineTest, StateHasTheSameSizeForEveryHistory) {
  const size_t one = FoldHistory(model_, "long", 1)->size_bytes();
  EXPECT_EQ(FoldHistory(model_, "long", 1000)->size_bytes(), one);
}

// Models whose candidates attend to summaries.
class SeedsTest : public EngineTest {};

// Whoever summarizes, whatever was computed before, however the state was
// folded; and a summary that is at hand scores as one made for the request.
TEST_P(SeedsTest, SummaryIsBitwiseAFunctionOfTheState) {
  const auto events = model_.histories.at("long").First(60);
  const auto state = FoldHistory(model_, "long", 60);
  const auto summary = engine_.Summarize(*state, *scratch_);
  const RequestView request{kRequestTimeUs, {}, {}};
  const Candidates candidates = RandomCandidates(70);
  const std::vector<float> scores =
      Score(*engine_.Read(*state, request, *scratch_, summary), candidates);
  EXPECT_EQ(Bits(Score(*engine_.Read(*state, request, *scratch_), candidates)),
            Bits(scores));

  const auto fresh = engine_.NewScratch();
  for (const auto& [same, scratch] : {std::pair(state, fresh.get()),
                                      {FoldInPieces(events, 7), fresh.get()},
                                      {state, scratch_.get()}}) {
    const auto again = engine_.Summarize(*same, *scratch);
    EXPECT_EQ(Bits(again->values), Bits(summary->values));
    EXPECT_EQ(Bits(again->head_keys), Bits(summary->head_keys));
    EXPECT_EQ(Bits(again->head_values), Bits(summary->head_values));
  }
}

TEST_P(SeedsTest, AttendedSummariesMatter) {
  const auto state = FoldHistory(model_, "long", 60);
  const RequestView request{kRequestTimeUs, {}, {}};
  const auto other =
      engine_.Summarize(*FoldHistory(model_, "long", 20), *scratch_);
  const Candidates candidates = RandomCandidates(70);
  EXPECT_NE(
      Bits(Score(*engine_.Read(*state, request, *scratch_, other), candidates)),
      Bits(Score(*engine_.Read(*state, request, *scratch_), candidates)));
}

// Lower precisions reorder few candidates, and do round.
TEST_P(EngineTest, LowerPrecisionIsCloseToFloat32) {
  const auto exact = Engine::Create(model_.bundle);
  ASSERT_TRUE(exact.ok()) << exact.status();
  const Candidates candidates = RandomCandidates(300);
  const std::vector<float> expected = ScoresOf(**exact, candidates);
  const std::vector<float> scores = Score(*ReadLongHistory(), candidates);
  double squares = 0, errors = 0, mean = 0;
  for (float score : expected) mean += score / expected.size();
  for (size_t i = 0; i < scores.size(); ++i) {
    squares += (expected[i] - mean) * (expected[i] - mean);
    errors += (scores[i] - expected[i]) * (scores[i] - expected[i]);
  }
  // Relative to how much the scores differ from one another.
  const bool in_7_bits = precision() == Precision::kInt8 &&
                         Int8KernelsOfProcessor()->weight_levels < 127;
  const double bound =
      in_7_bits ? 0.1 : precision() == Precision::kInt8 ? 0.05 : 0.02;
  EXPECT_LT(std::sqrt(errors / squares), bound);
  EXPECT_EQ(errors > 0, precision() != Precision::kF32);
}

// What is known of items beforehand saves work; in float32 it changes no bit,
// and in lower precisions no more than they round.
TEST_P(EngineTest, SharesOfItemsMayBeKeptOrNot) {
  const auto without = Engine::Create(model_.bundle, {precision(), 1});
  ASSERT_TRUE(without.ok()) << without.status();
  const Candidates candidates = RandomCandidates(300);
  const std::vector<float> computed = ScoresOf(**without, candidates);
  const std::vector<float> kept = Score(*ReadLongHistory(), candidates);
  if (precision() == Precision::kF32) {
    EXPECT_EQ(Bits(kept), Bits(computed));
    return;
  }
  double squares = 0, errors = 0;
  for (size_t i = 0; i < kept.size(); ++i) {
    squares += computed[i] * computed[i];
    errors += (kept[i] - computed[i]) * (kept[i] - computed[i]);
  }
  EXPECT_LT(std::sqrt(errors / squares), .1);
  EXPECT_EQ(errors > 0, engine_.bundle().HasTensor("norm_cand"));
}

// Items in files are items in memory: of the bundle, and what is made of them.
TEST_P(EngineTest, ItemsMayLieInFiles) {
  const TempDir folder;
  const auto bundle = Bundle::Load(model_.bundle->folder(), folder.path());
  ASSERT_TRUE(bundle.ok()) << bundle.status();
  Engine::Options options;
  options.precision = precision();
  options.item_folder = folder.path();
  const auto engine = Engine::Create(*bundle, options);
  ASSERT_TRUE(engine.ok()) << engine.status();
  (*bundle)->items().ExpectSparseReads();
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
  const Candidates candidates = RandomCandidates(300);
  EXPECT_EQ(Bits(ScoresOf(**engine, candidates)),
            Bits(Score(*ReadLongHistory(), candidates)));
}

TEST_P(EngineTest, ItemsThatFindNoRoomAreAnError) {
  Engine::Options options;
  options.precision = precision();
  options.item_folder = "/nonexistent/tables";
  const absl::Status status =
      Engine::Create(model_.bundle, options).status();
  // Only what is made of items goes there: float32 embeddings are the bundle's.
  const bool needs_room = engine_.precision() != Precision::kF32 ||
                          engine_.bundle().HasTensor("norm_cand");
  EXPECT_EQ(status.ok(), !needs_room) << status;
  if (needs_room) {
    EXPECT_THAT(std::string(status.message()),
                ::testing::HasSubstr("/nonexistent/tables"));
  }
  EXPECT_THAT(
      std::string(
          Bundle::Load(model_.bundle->folder(), "/nonexistent/tables")
              .status()
              .message()),
      ::testing::HasSubstr("items.safetensors: cannot have a file of "));
}

// Invariant 1: however a state is read, it is folded, summarized and named the
// same.
TEST_P(EngineTest, StateDoesNotDependOnThePrecision) {
  const auto exact = Engine::Create(model_.bundle);
  ASSERT_TRUE(exact.ok()) << exact.status();
  const auto scratch = (*exact)->NewScratch();
  const auto events = model_.histories.at("long").First(60);
  FoldJob job{(*exact)->empty_state(), events, nullptr};
  (*exact)->Fold(absl::MakeSpan(&job, 1), *scratch);
  const auto state = FoldInPieces(events, 7);
  EXPECT_EQ(engine_.SerializeState(*state),
            (*exact)->SerializeState(*job.after));
  EXPECT_EQ(engine_.state_fingerprint(), (*exact)->state_fingerprint());
  if (engine_.num_seeds() > 0) {
    EXPECT_EQ(Bits(engine_.Summarize(*state, *scratch_)->values),
              Bits((*exact)->Summarize(*state, *scratch)->values));
  }
}

std::string NameOf(const ::testing::TestParamInfo<ModelAndPrecision>& info) {
  return std::get<0>(info.param) + "_" + PrecisionName(std::get<1>(info.param));
}

// A lesser processor (lesser_processor_test.cc) has other kernels in 8 bits.
#ifdef QLARANK_ONLY_INT8
const auto kPrecisions = ::testing::Values(Precision::kInt8);
#elif defined(QLARANK_ONLY_F32)  // as on ARM64
const auto kPrecisions = ::testing::Values(Precision::kF32);
#else
const auto kPrecisions =
    ::testing::Values(Precision::kF32, Precision::kBf16, Precision::kInt8);
#endif

INSTANTIATE_TEST_SUITE_P(
    Models, EngineTest,
    ::testing::Combine(::testing::ValuesIn(GoldenModelNames()), kPrecisions),
    NameOf);

INSTANTIATE_TEST_SUITE_P(
    Models, SeedsTest,
    ::testing::Combine(::testing::Values("seeds_all_l2_attended",
                                         "seeds_block_l2_attended"),
                       kPrecisions),
    NameOf);

}  // namespace
}  // namespace qlarank::testing
