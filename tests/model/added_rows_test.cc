// Items that were added while their model is served are folded and scored as if
// the bundle had them, and change nothing else.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <numeric>
#include <string>
#include <thread>
#include <tuple>
#include <vector>

#include "model/engine.h"
#include "tests/model/golden.h"

namespace qlarank::testing {
namespace {

using ::testing::HasSubstr;

constexpr int64_t kRankTimeUs = 1'600'000'000'000'000;
constexpr uint64_t kAddedItem = 4'000'000'000'000'000'001;
constexpr size_t kRowsToAdd = 1000;
constexpr size_t kShares = size_t{1} << 30;

// A golden model's name, what its candidates are scored in, and what shares may
// take.
using Parameters = std::tuple<std::string, Precision, size_t>;

class AddedRowsTest : public ::testing::TestWithParam<Parameters> {
 protected:
  AddedRowsTest()
      : model_(LoadGoldenModel(
            std::get<0>(GetParam()),
            {std::get<1>(GetParam()), std::get<2>(GetParam()), kRowsToAdd})),
        engine_(*model_.engine),
        catalogue_(engine_.catalogue()),
        scratch_(engine_.NewScratch()),
        d_(model_.bundle->spec().d_model()),
        first_added_(model_.bundle->spec().num_items() + 1) {}

  void SetUp() override {
    if (!ProcessorHas(std::get<1>(GetParam()))) {
      GTEST_SKIP() << "no " << PrecisionName(std::get<1>(GetParam()))
                   << " on this processor";
    }
  }

  absl::Span<const float> EmbeddingOf(uint32_t row) const {
    return model_.bundle->tensor("item_embedding").subspan(row * d_, d_);
  }
  float BiasOf(uint32_t row) const {
    return model_.bundle->tensor("item_bias")[row];
  }

  // Adds what the row has for this item; returns the new row.
  uint32_t AddCopy(uint64_t id, uint32_t row) {
    EXPECT_TRUE(
        catalogue_.Add(id, ++version_, EmbeddingOf(row), BiasOf(row)).ok());
    return catalogue_.Row(id);
  }
  // Adds every item of the bundle again, so that row + the returned number is
  // the same item in an added row.
  uint32_t AddBundleAgain() {
    for (uint32_t row = 1; row < first_added_; ++row) {
      EXPECT_EQ(AddCopy(model_.bundle->item_ids()[row - 1], row),
                first_added_ - 1 + row);
    }
    return first_added_ - 1;
  }

  std::shared_ptr<const UserState> Fold(absl::Span<const ModelEvent> events) {
    FoldJob job{engine_.empty_state(), events, nullptr};
    engine_.Fold(absl::MakeSpan(&job, 1), *scratch_);
    return job.after;
  }
  std::vector<ModelEvent> Events() const {
    return model_.histories.at("long").First(100);
  }

  // Bits, of candidates whose features depend on their place alone.
  std::string Scores(const UserState& state,
                     const std::vector<uint32_t>& rows) {
    const auto reading =
        engine_.Read(state, {kRankTimeUs, {}, {}}, *scratch_);
    std::vector<float> features(
        rows.size() * model_.bundle->spec().candidate_features_size());
    for (size_t i = 0; i < features.size(); ++i) {
      features[i] = static_cast<float>(i % 7) - 3;
    }
    std::vector<float> scores(rows.size() * engine_.num_tasks());
    engine_.Score(*reading, rows, features, absl::MakeSpan(scores), *scratch_);
    return {reinterpret_cast<const char*>(scores.data()),
            scores.size() * sizeof(float)};
  }
  std::vector<uint32_t> RowsOfBundle() const {
    std::vector<uint32_t> rows(first_added_);
    std::iota(rows.begin(), rows.end(), 0);
    return rows;
  }

  const GoldenModel model_;
  const Engine& engine_;
  Catalogue& catalogue_;
  std::unique_ptr<EngineScratch> scratch_;
  const size_t d_;
  const uint32_t first_added_;
  uint64_t version_ = 0;
};

// Of models that remember single items.
class AddedRowsOfMemoryTest : public AddedRowsTest {};

TEST_P(AddedRowsTest, ScoreAsTheRowsThatTheyCopy) {
  const auto state = Fold(Events());
  const uint32_t shift = AddBundleAgain();
  const std::vector<uint32_t> rows = RowsOfBundle();
  std::vector<uint32_t> added = rows, mixed = rows;
  for (uint32_t row = 1; row < first_added_; ++row) {
    added[row] += shift;
    if (row % 3 == 0) mixed[row] += shift;
  }
  const std::string scores = Scores(*state, rows);
  EXPECT_EQ(Scores(*state, added), scores);
  EXPECT_EQ(Scores(*state, mixed), scores);
}

TEST_P(AddedRowsTest, FoldAsTheRowsThatTheyCopy) {
  std::vector<ModelEvent> events = Events();
  const auto state = Fold(events);
  const uint32_t shift = AddBundleAgain();
  for (ModelEvent& event : events) {
    if (event.item_row != Bundle::kOutOfVocabularyRow) event.item_row += shift;
  }
  UserState folded = *Fold(events);
  EXPECT_EQ(folded.pending_item_row, state->pending_item_row + shift);
  folded.pending_item_row = state->pending_item_row;
  EXPECT_EQ(engine_.SerializeState(folded), engine_.SerializeState(*state));
}

TEST_P(AddedRowsTest, ChangeNothingElse) {
  const auto state = Fold(Events());
  const std::string scores = Scores(*state, RowsOfBundle());
  for (uint32_t i = 0; i < kRowsToAdd; ++i) {
    const std::vector<float> embedding(d_, .001f * static_cast<float>(i));
    const uint64_t id =
        i % 2 == 0 ? kAddedItem + i : model_.bundle->item_ids()[i % 30];
    ASSERT_TRUE(catalogue_.Add(id, ++version_, embedding, 3).ok());
  }
  EXPECT_EQ(Scores(*state, RowsOfBundle()), scores);
  EXPECT_EQ(engine_.SerializeState(*Fold(Events())),
            engine_.SerializeState(*state));
}

// Whatever came before or after it, and in whichever order rows are asked for.
TEST_P(AddedRowsTest, AreWhatTheyWereAddedWith) {
  const auto state = Fold(Events());
  const uint32_t first = AddCopy(kAddedItem, 1);
  const uint32_t second = AddCopy(kAddedItem + 1, 2);
  const uint32_t third = AddCopy(kAddedItem, 2);
  const size_t size = engine_.num_tasks() * sizeof(float);
  std::vector<uint32_t> rows(3 * 64, second);
  rows[1] = first;
  rows[70] = third;
  const auto score = [&](uint32_t row) {
    return Scores(*state, std::vector<uint32_t>(rows.size(), row));
  };
  const std::string of_first = score(first), of_second = score(second);
  EXPECT_NE(of_first, of_second);
  EXPECT_EQ(score(third), of_second);
  std::string expected = of_second;
  expected.replace(size, size, of_first, size, size);
  EXPECT_EQ(Scores(*state, rows), expected);
}

// Facts of single items go by their identity.
TEST_P(AddedRowsOfMemoryTest, KeepWhatUsersDidWithTheItem) {
  const uint32_t first = AddCopy(kAddedItem, 1);
  std::vector<ModelEvent> events = Events();
  for (size_t i = 90; i < 95; ++i) events[i].item_row = first;
  const auto state = Fold(events);
  const uint32_t second = AddCopy(kAddedItem, 2);
  const uint32_t stranger = AddCopy(kAddedItem + 1, 2);
  EXPECT_NE(Scores(*state, {second}), Scores(*state, {stranger}));

  // Events with the new row are of the same item.
  for (size_t i = 90; i < 95; ++i) {
    if (i % 2 == 0) events[i].item_row = second;
  }
  const auto both = Fold(events);
  const auto memory = [&](const UserState& of) {
    return std::string(static_cast<const char*>(of.memory.data()),
                       of.memory.size_bytes());
  };
  EXPECT_EQ(memory(*both), memory(*state));
}

TEST_P(AddedRowsTest, AreReadBackByWhoHasThem) {
  const GoldenModel other = LoadGoldenModel(std::get<0>(GetParam()));
  const auto check = [&](absl::Span<const ModelEvent> events,
                         const std::string& message) {
    const std::string bytes = engine_.SerializeState(*Fold(events));
    const auto parsed = engine_.ParseState(bytes);
    ASSERT_TRUE(parsed.ok()) << parsed.status();
    EXPECT_EQ(engine_.SerializeState(**parsed), bytes);
    const absl::Status status = other.engine->ParseState(bytes).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
    EXPECT_THAT(std::string(status.message()), HasSubstr(message));
  };
  std::vector<ModelEvent> events = Events();
  events.back().item_row = AddCopy(kAddedItem, 1);
  check(events, "pending item row " + std::to_string(first_added_));
  if (!model_.bundle->spec().has_item_memory()) return;
  std::swap(events.back().item_row, events[98].item_row);
  check(events, "item row " + std::to_string(first_added_) + "; the model has");
}

std::string NameOfRows(const ::testing::TestParamInfo<Parameters>& info) {
  return std::get<0>(info.param) + "_" +
         PrecisionName(std::get<1>(info.param)) +
         (std::get<2>(info.param) > 0 ? "" : "_no_shares");
}

#ifdef QLARANK_ONLY_F32  // as on ARM64
const auto kPrecisionsOfRows = ::testing::Values(Precision::kF32);
#else
const auto kPrecisionsOfRows =
    ::testing::Values(Precision::kF32, Precision::kBf16, Precision::kInt8);
#endif

INSTANTIATE_TEST_SUITE_P(
    Models, AddedRowsTest,
    ::testing::Combine(::testing::ValuesIn(GoldenModelNames()),
                       kPrecisionsOfRows, ::testing::Values(0, kShares)),
    NameOfRows);

std::vector<std::string> ModelsWithItemMemory() {
  std::vector<std::string> names;
  for (const std::string& name : GoldenModelNames()) {
    if (Bundle::LoadSpec(GoldenBundleFolder(name))->has_item_memory()) {
      names.push_back(name);
    }
  }
  return names;
}

INSTANTIATE_TEST_SUITE_P(
    Models, AddedRowsOfMemoryTest,
    ::testing::Combine(::testing::ValuesIn(ModelsWithItemMemory()),
                       kPrecisionsOfRows, ::testing::Values(0, kShares)),
    NameOfRows);

// For the thread sanitizer: rows come while others fold, score and read states.
TEST(AddedRowsThreadsTest, ReadersDoNotWaitForTheWriter) {
  const GoldenModel model =
      LoadGoldenModel("content_block_l2_memory", {Precision::kF32, kShares, 50'000});
  const Engine& engine = *model.engine;
  Catalogue& catalogue = engine.catalogue();
  std::atomic<uint64_t> published = 0;  // a catalogue version
  std::atomic<bool> done = false;
  const auto read = [&] {
    const auto scratch = engine.NewScratch();
    std::shared_ptr<const UserState> state = engine.empty_state();
    std::vector<uint64_t> ids(64);
    std::vector<uint32_t> rows(64);
    std::vector<float> scores(64);
    for (int64_t time_us = kRankTimeUs; !done; time_us += 1'000'000) {
      const uint64_t version = published;
      std::iota(ids.begin(), ids.end(), kAddedItem + version % 1000);
      catalogue.Rows(ids, absl::MakeSpan(rows));
      const ModelEvent event{catalogue.RowAsOf(ids[0], version), 0, time_us,
                             {}};
      FoldJob job{state, {&event, 1}, nullptr};
      engine.Fold(absl::MakeSpan(&job, 1), *scratch);
      ASSERT_TRUE(AllFinite(job.after->values));
      const auto parsed = engine.ParseState(engine.SerializeState(*job.after));
      ASSERT_TRUE(parsed.ok()) << parsed.status();
      state = *parsed;
      const auto reading = engine.Read(*state, {time_us, {}, {}}, *scratch);
      engine.Score(*reading, rows, {}, absl::MakeSpan(scores), *scratch);
      ASSERT_TRUE(AllFinite(scores));
      if (catalogue.any_removed()) catalogue.IsRemoved(rows[0]);
    }
  };
  std::vector<std::thread> readers;
  for (int i = 0; i < 2; ++i) readers.emplace_back(read);
  for (uint64_t version = 1; version <= 20'000; ++version) {
    ItemContent content;
    content.numbers["price"] = static_cast<double>(version % 5);
    const ContentTower::Row row = engine.content_tower()->MakeRow(content);
    const uint64_t id = kAddedItem + version % 1000;
    ASSERT_TRUE(catalogue.Add(id, version, row.embedding, row.bias).ok());
    published = version;
    catalogue.SetRemoved(id, version % 3 == 0);
  }
  done = true;
  for (std::thread& reader : readers) reader.join();
  EXPECT_EQ(catalogue.num_added_items(), 1000);
}

}  // namespace
}  // namespace qlarank::testing
