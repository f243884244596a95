// The same bits on every processor (docs/model.md section 10): digests of
// states, summaries and float32 scores, held to a table that is committed.
// Seven models of different shapes; histories of up to a million events,
// forgotten as slowly as a half-life of 70,000 events.
//
// With every instruction set that this processor has. The scalar one is slow
// and takes part up to 1,000 events; QLARANK_DIGEST_EVENTS=1000000 in the
// environment lets it, too, go to the end.

#include <gtest/gtest.h>

#include <cstdlib>
#include <map>
#include <sstream>
#include <string>
#include <tuple>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "bench/random_bundle.h"
#include "hwy/highway.h"
#include "model/engine.h"
#include "model/kernels.h"
#include "model/sha256.h"

namespace qlarank::testing {
namespace {

constexpr size_t kLengths[] = {1'000, 100'000, 1'000'000};
constexpr size_t kNumItems = 500;

model::v1::ModelSpec Spec(const std::string& name) {
  using namespace model::v1;  // NOLINT: the names of one proto file
  const auto with_decays = [](ModelSpec spec) {
    constexpr double kHalfLives[] = {70'000, 0, 900, 8};
    for (int head = 0; head < spec.initial_half_lives_size(); ++head) {
      spec.set_initial_half_lives(head, kHalfLives[head % 4]);
    }
    return spec;
  };
  const auto plain = [&](uint32_t d, uint32_t heads, uint32_t layers,
                         uint32_t conv, TargetAware target_aware) {
    return with_decays(
        bench::PlainSpec(d, heads, layers, conv, target_aware, kNumItems));
  };
  if (name == "all_layers") {
    return plain(16, 2, 2, 1, TARGET_AWARE_ALL_LAYERS);
  }
  if (name == "silu_window") {
    ModelSpec spec = plain(32, 2, 2, 4, TARGET_AWARE_ALL_LAYERS);
    spec.set_phi2(PHI2_SILU);
    return spec;
  }
  if (name == "block") {
    return plain(24, 1, 1, 3, TARGET_AWARE_DEDICATED_BLOCK);
  }
  if (name == "as_shipped") {
    return plain(64, 4, 4, 4, TARGET_AWARE_DEDICATED_BLOCK);
  }
  if (name == "dots") {
    return plain(40, 5, 2, 1, TARGET_AWARE_OFF);
  }
  if (name == "memory") {
    ModelSpec spec = plain(24, 1, 2, 3, TARGET_AWARE_DEDICATED_BLOCK);
    spec.mutable_item_memory()->set_entries(64);
    for (const uint64_t seconds : {900, 86'400, 3'000'000}) {
      spec.mutable_item_memory()->add_half_lives_s(seconds);
    }
    *spec.add_tasks() = spec.tasks(0);
    spec.mutable_tasks(1)->set_name("buy");
    return spec;
  }
  ModelSpec spec = plain(32, 4, 2, 1, TARGET_AWARE_ALL_LAYERS);  // "seeds"
  spec.set_num_seeds(16);
  spec.set_summary_attention(true);
  spec.set_head_width(20);
  *spec.add_tasks() = spec.tasks(0);
  spec.mutable_tasks(1)->set_name("buy");
  spec.add_actions("buy");
  spec.add_event_features("price");
  spec.add_candidate_features("price");
  return spec;
}

// What arrives is a function of its number.
class Events {
 public:
  explicit Events(const model::v1::ModelSpec& spec)
      : num_actions_(spec.actions_size()),
        features_(spec.event_features_size()) {}

  // The next `count`; valid until the next call.
  absl::Span<const ModelEvent> Next(size_t count) {
    events_.clear();
    values_.clear();
    values_.reserve(count * features_);
    for (size_t i = 0; i < count; ++i) {
      seed_ = seed_ * 6364136223846793005 + 1442695040888963407;
      time_us_ += 1'000'000 << (seed_ >> 60);
      for (size_t f = 0; f < features_; ++f) {
        values_.push_back(static_cast<float>(seed_ >> 40) * 0x1p-24f - 0.5f);
      }
      events_.push_back({static_cast<uint32_t>((seed_ >> 33) % (kNumItems + 1)),
                         static_cast<uint32_t>((seed_ >> 20) % num_actions_),
                         time_us_,
                         absl::MakeConstSpan(values_).last(features_)});
    }
    return events_;
  }
  int64_t time_us() const { return time_us_; }

 private:
  uint64_t seed_ = 1;
  int64_t time_us_ = 1'500'000'000'000'000;
  uint64_t num_actions_;
  size_t features_;
  std::vector<ModelEvent> events_;
  std::vector<float> values_;
};

std::string BytesOf(absl::Span<const float> values) {
  return {reinterpret_cast<const char*>(values.data()),
          values.size() * sizeof(float)};
}

// Everything that a state leads to, in bits.
std::string DigestOf(const Engine& engine, const UserState& state,
                     int64_t now_us, EngineScratch& scratch) {
  std::string bytes = engine.SerializeState(state);
  if (engine.num_seeds() > 0) {
    bytes += BytesOf(engine.Summarize(state, scratch)->values);
  }
  const auto reading =
      engine.Read(state, {now_us + 86'400'000'000, {}, {}}, scratch);
  bytes += BytesOf(reading->user_vector());
  std::vector<uint32_t> rows(kNumItems + 1);
  for (uint32_t row = 0; row < rows.size(); ++row) rows[row] = row;
  std::vector<float> features(
      rows.size() * engine.bundle().spec().candidate_features_size(), 0.25f);
  std::vector<float> scores(rows.size() * engine.num_tasks());
  engine.Score(*reading, rows, features, absl::MakeSpan(scores), scratch);
  EXPECT_TRUE(AllFinite(scores));
  return Sha256Hex(bytes + BytesOf(scores));
}

// (model, events) -> digest.
using Table = std::map<std::pair<std::string, size_t>, std::string>;

Table ReadTable() {
  std::istringstream lines(
#include "digests.inc"
  );
  Table table;
  std::string model, digest;
  size_t events;
  while (lines >> model >> events >> digest) table[{model, events}] = digest;
  return table;
}

class DigestTest
    : public ::testing::TestWithParam<std::tuple<std::string, int64_t>> {
 protected:
  DigestTest() { Use(target()); }
  ~DigestTest() override { Use(0); }

  static std::string model() { return std::get<0>(GetParam()); }
  static int64_t target() { return std::get<1>(GetParam()); }

  static size_t MostEvents() {
    const char* wanted = std::getenv("QLARANK_DIGEST_EVENTS");
    size_t events = 0;
    if (wanted != nullptr && absl::SimpleAtoi(wanted, &events)) return events;
    const bool scalar = target() == HWY_SCALAR || target() == HWY_EMU128;
    return scalar ? kLengths[0] : std::end(kLengths)[-1];
  }

 private:
  static void Use(int64_t target) {
    hwy::SetSupportedTargetsForTest(target);
    hwy::GetChosenTarget().DeInit();
  }
};

TEST_P(DigestTest, StatesAndScoresAreTheCommittedBits) {
  const Table table = ReadTable();
  const auto bundle = bench::RandomBundle(Spec(model()));
  const auto engine = Engine::Create(bundle);
  ASSERT_TRUE(engine.ok()) << engine.status();
  ASSERT_EQ(kernels::TargetName(), hwy::TargetName(target()));
  const auto scratch = (*engine)->NewScratch();
  Events events(bundle->spec());
  std::shared_ptr<const UserState> state = (*engine)->empty_state();
  for (const size_t length : kLengths) {
    if (length > MostEvents()) break;
    while (state->event_count < length) {
      FoldJob job{state, events.Next(1'000), nullptr};
      (*engine)->Fold(absl::MakeSpan(&job, 1), *scratch);
      state = job.after;
    }
    ASSERT_TRUE(AllFinite(state->values));
    const std::string digest =
        DigestOf(**engine, *state, events.time_us(), *scratch);
    const auto expected = table.find({model(), length});
    EXPECT_EQ(expected == table.end() ? "none" : expected->second, digest)
        << "as a line of the table:\n"
        << model() << "\t" << length << "\t" << digest;
  }
}

INSTANTIATE_TEST_SUITE_P(
    Models, DigestTest,
    ::testing::Combine(
        ::testing::Values("all_layers", "silu_window", "block", "as_shipped",
                          "dots", "seeds", "memory"),
        ::testing::ValuesIn(hwy::SupportedAndGeneratedTargets())),
    [](const auto& info) {
      return absl::StrCat(std::get<0>(info.param), "_",
                          hwy::TargetName(std::get<1>(info.param)));
    });

}  // namespace
}  // namespace qlarank::testing
