// The compared mechanisms compute what docs/attention.md says, event by event
// and in tiles, and none lets candidates see each other.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <ostream>

#include "bench/attention/history.h"
#include "bench/attention/leakage.h"
#include "bench/attention/mechanism.h"
#include "bench/attention/trunk.h"
#include "tests/bench/attention_reference.h"

namespace qlarank::bench::attention {

void PrintTo(const MechanismKind& kind, std::ostream* out) {
  *out << kind.name;
}

namespace {

// float32 through four layers against float64; scores have deviation 1.
constexpr double kTolerance = 2e-4;

std::unique_ptr<Trunk> MakeTrunk(const MechanismKind& kind) {
  auto trunk = Trunk::Create(kind, /*seed=*/3);
  EXPECT_TRUE(trunk.ok()) << trunk.status();
  return *std::move(trunk);
}

// Appends `events` in calls of `at_once` and returns what they score.
std::vector<float> Append(const Events& events, size_t at_once, Trunk& trunk) {
  const size_t n = events.times.size();
  std::vector<float> scores(n);
  for (size_t first = 0; first < n; first += at_once) {
    const absl::Span<const EventTime> times(events.times);
    trunk.Append(absl::MakeSpan(events.tokens).subspan(first * kWidth),
                 times.subspan(first, at_once), scores.data() + first);
  }
  return scores;
}

std::vector<float> Rank(absl::Span<const float> tokens, int64_t time_us,
                        Trunk& trunk) {
  std::vector<float> scores(tokens.size() / kWidth);
  trunk.Rank(tokens, time_us, absl::MakeSpan(scores));
  return scores;
}

double LargestDifference(absl::Span<const float> scores,
                         absl::Span<const double> expected) {
  EXPECT_EQ(scores.size(), expected.size());
  double largest = 0;
  for (size_t i = 0; i < expected.size(); ++i) {
    // Not std::max, which forgets NaN.
    const double difference = std::abs(scores[i] - expected[i]);
    if (!(difference <= largest)) largest = difference;
  }
  return largest;
}

class AttentionTest : public ::testing::TestWithParam<MechanismKind> {
 protected:
  AttentionTest() : trunk_(MakeTrunk(GetParam())) {}

  // Holds `num_events` events, given `at_once` a call, to the reference.
  void ExpectReferenceScores(size_t num_events, size_t at_once) {
    SCOPED_TRACE(::testing::Message()
                 << num_events << " events, " << at_once << " at once");
    History history(/*seed=*/5);
    const Events events = history.Next(num_events);
    // A request after a while.
    const int64_t time_us = history.now_us() + 3'000'000;
    const std::vector<float> candidates = RandomTokens(70, /*seed=*/6);
    const ReferenceScores expected =
        ScoreByBruteForce(std::string(GetParam().name), trunk_->parameters(),
                          events, candidates, time_us);
    trunk_->Reset();
    EXPECT_LT(
        LargestDifference(Append(events, at_once, *trunk_), expected.events),
        kTolerance);
    EXPECT_LT(LargestDifference(Rank(candidates, time_us, *trunk_),
                                expected.candidates),
              kTolerance);
  }

  const std::unique_ptr<Trunk> trunk_;
};

// 64 | 150: the window's ring turns twice; 128: a chunk of keys; 127 and 128:
// every log-linear level full, and all merged into one; 230: the ring of the
// last 200 turns.
TEST_P(AttentionTest, EventByEventIsTheFormula) {
  for (size_t num_events : {0, 1, 5, 64, 127, 128, 150, 230}) {
    ExpectReferenceScores(num_events, 1);
  }
}

TEST_P(AttentionTest, TilesOfEventsAreTheFormula) {
  for (size_t num_events : {64, 230}) {
    ExpectReferenceScores(num_events, kTileRows);
    ExpectReferenceScores(num_events, 13);
  }
}

TEST_P(AttentionTest, CandidatesDoNotMoveEachOther) {
  for (size_t num_events : {0, 3, 200}) {
    History history(/*seed=*/7);
    trunk_->Reset();
    Append(history.Next(num_events), kTileRows, *trunk_);
    const Leakage leakage = MeasureLeakage([&](absl::Span<const float> tokens) {
      return Rank(tokens, history.now_us(), *trunk_);
    });
    EXPECT_TRUE(leakage.bitwise_equal)
        << num_events << " events: a score moved by " << leakage.largest_move
        << " standard deviations";
  }
}

TEST_P(AttentionTest, RankingChangesNothing) {
  History history(/*seed=*/8);
  Append(history.Next(90), kTileRows, *trunk_);
  const std::vector<float> candidates = RandomTokens(5, /*seed=*/9);
  const uint64_t bytes = trunk_->BytesKept();
  const auto before = Rank(candidates, history.now_us(), *trunk_);
  Rank(RandomTokens(100, /*seed=*/10), history.now_us() + 1, *trunk_);
  EXPECT_EQ(Rank(candidates, history.now_us(), *trunk_), before);
  EXPECT_EQ(trunk_->BytesKept(), bytes);
}

INSTANTIATE_TEST_SUITE_P(All, AttentionTest,
                         ::testing::ValuesIn(AllMechanisms()),
                         [](const auto& info) {
                           return std::string(info.param.name);
                         });

uint64_t BytesAfter(const char* name, size_t num_events) {
  for (const MechanismKind& kind : AllMechanisms()) {
    if (kind.name != name) continue;
    const auto trunk = MakeTrunk(kind);
    Append(History(/*seed=*/5).Next(num_events), kTileRows, *trunk);
    return trunk->BytesKept();
  }
  ADD_FAILURE() << "no mechanism is called " << name;
  return 0;
}

TEST(BytesKept, AreThoseOfTheDefinition) {
  // 4 layers; the convolution keeps 3 inputs of 64 floats in each.
  const uint64_t window = 4 * 3 * 64 * 4;
  EXPECT_EQ(BytesAfter("none", 100), window);
  // A key and its value are 2 * 64 floats.
  EXPECT_EQ(BytesAfter("softmax", 100), window + 4 * 100 * 2 * 64 * 4);
  // And one time of 8 bytes.
  EXPECT_EQ(BytesAfter("hstu", 100), window + 4 * 100 * 2 * 64 * 4 + 100 * 8);
  EXPECT_EQ(BytesAfter("sliding_window", 1000),
            window + 4 * (64 + 4) * 2 * 64 * 4);
  EXPECT_EQ(BytesAfter("recent_softmax", 1000), window + 4 * 200 * 2 * 64 * 4);
  // Per head a matrix of 16 x 16, and a vector; or one count of all events.
  EXPECT_EQ(BytesAfter("linear", 1000), window + 4 * 4 * (16 * 16 + 16) * 4);
  EXPECT_EQ(BytesAfter("decayed_linear", 1000),
            window + 4 * 4 * (16 * 16 + 16) * 4);
  EXPECT_EQ(BytesAfter("qla", 1000), window + 4 * 4 * 16 * 16 * 4 + 8);
  EXPECT_EQ(BytesAfter("seeds_only", 1000), window + 4 * 4 * 16 * 16 * 4 + 8);
  // A count that content decays is one per head.
  EXPECT_EQ(BytesAfter("gated", 1000), window + 4 * 4 * (16 * 16 + 1) * 4);
  EXPECT_EQ(BytesAfter("gated_delta", 1000), window + 4 * 4 * 16 * 16 * 4);
  // 7 = 0b111 events: three matrices per head.
  EXPECT_EQ(BytesAfter("log_linear", 7), window + 3 * 4 * 4 * 16 * 16 * 4);
  EXPECT_EQ(BytesAfter("log_linear", 8), window + 1 * 4 * 4 * 16 * 16 * 4);
}

// The measure itself: candidates that stand in the history one after another
// do see each other, and it says so.
TEST(LeakageTest, IsFoundWhereThereIsNoCandidateMask) {
  History history(/*seed=*/7);
  const Events events = history.Next(200);
  const auto trunk = MakeTrunk(AllMechanisms()[1]);
  ASSERT_EQ(AllMechanisms()[1].name, "softmax");
  const Leakage leakage = MeasureLeakage([&](absl::Span<const float> tokens) {
    trunk->Reset();
    Append(events, kTileRows, *trunk);
    return Append(
        {{tokens.begin(), tokens.end()},
         std::vector<EventTime>(tokens.size() / kWidth,
                                {history.now_us(), history.now_us()})},
        kTileRows, *trunk);
  });
  EXPECT_FALSE(leakage.bitwise_equal);
  EXPECT_GT(leakage.largest_move, 0.01);
}

}  // namespace
}  // namespace qlarank::bench::attention
