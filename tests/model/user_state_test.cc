#include "model/user_state.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <random>

#include "model/engine.h"
#include "tests/model/golden.h"

namespace qlarank::testing {
namespace {

using ::testing::HasSubstr;

class UserStateTest : public ::testing::Test {
 protected:
  UserStateTest()
      : model_(LoadGoldenModel("all_l4_decay_conv_everything")),
        bytes_(
            model_.engine->SerializeState(*FoldHistory(model_, "long", 10))) {}

  absl::Status Parse(absl::string_view bytes) {
    return model_.engine->ParseState(bytes).status();
  }

  GoldenModel model_;
  std::string bytes_;
};

TEST_F(UserStateTest, RoundTripsBitForBit) {
  for (size_t events : {0, 1, 2, 10}) {
    const std::string bytes =
        model_.engine->SerializeState(*FoldHistory(model_, "long", events));
    const auto state = model_.engine->ParseState(bytes);
    ASSERT_TRUE(state.ok()) << state.status();
    EXPECT_EQ((*state)->event_count, events);
    EXPECT_EQ(model_.engine->SerializeState(**state), bytes);
  }
}

// A parsed state goes on exactly as the one it was written from.
TEST_F(UserStateTest, ParsedStateFoldsOnBitForBit) {
  const auto events = model_.histories.at("long").First(20);
  FoldJob job{*model_.engine->ParseState(bytes_),
              absl::MakeSpan(events).subspan(10), nullptr};
  model_.engine->Fold(absl::MakeSpan(&job, 1), *model_.engine->NewScratch());
  EXPECT_EQ(model_.engine->SerializeState(*job.after),
            model_.engine->SerializeState(*FoldHistory(model_, "long", 20)));
}

TEST_F(UserStateTest, RefusesEveryTruncation) {
  for (size_t size = 0; size < bytes_.size(); size += 97) {
    EXPECT_EQ(Parse(bytes_.substr(0, size)).code(), absl::StatusCode::kDataLoss)
        << size << " bytes";
  }
  EXPECT_EQ(Parse(bytes_ + "x").code(), absl::StatusCode::kDataLoss);
}

TEST_F(UserStateTest, RefusesAStateOfAnotherModel) {
  const GoldenModel other = LoadGoldenModel("dot_l1_plain");
  const absl::Status status = other.engine->ParseState(bytes_).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(std::string(status.message()), HasSubstr("values"));
}

TEST_F(UserStateTest, RefusesValuesThatAreNotFinite) {
  const float nan = std::nanf("");
  std::memcpy(bytes_.data() + bytes_.size() - sizeof(nan), &nan, sizeof(nan));
  const absl::Status status = Parse(bytes_);
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(std::string(status.message()), HasSubstr("not finite"));
}

// Random damage is refused, or gives a state that is as good as any other: it
// says what the bytes say, no part of them is passed over, and events can be
// folded into it.
TEST_F(UserStateTest, SurvivesRandomDamage) {
  const size_t rows = model_.bundle->spec().num_items() + 1;
  const size_t actions = model_.bundle->spec().actions_size();
  const auto events = model_.histories.at("long").First(12);
  const auto scratch = model_.engine->NewScratch();
  std::mt19937 random(1);
  int taken = 0, refused = 0;
  for (int round = 0; round < 2000; ++round) {
    std::string damaged = bytes_;
    // The header, of 48 bytes, more often than the rest.
    const size_t size = round % 2 == 0 ? 48 : bytes_.size();
    for (int flips = 0; flips < 3; ++flips) {
      damaged[random() % size] ^= static_cast<char>(1 << random() % 8);
    }
    const auto state = model_.engine->ParseState(damaged);
    if (!state.ok()) {
      EXPECT_EQ(state.status().code(), absl::StatusCode::kDataLoss);
      ++refused;
      continue;
    }
    ++taken;
    EXPECT_EQ(model_.engine->SerializeState(**state), damaged);
    EXPECT_LT((*state)->pending_item_row, rows);
    EXPECT_TRUE((*state)->pending_action < actions ||
                (*state)->pending_action == Bundle::kUnknownAction)
        << (*state)->pending_action;
    FoldJob job{*state, absl::MakeSpan(events).subspan(10), nullptr};
    model_.engine->Fold(absl::MakeSpan(&job, 1), *scratch);
    EXPECT_EQ(job.after->event_count, (*state)->event_count + 2);
  }
  EXPECT_GT(taken, 100);
  EXPECT_GT(refused, 100);
}

// What a decoder would read beyond its tables with.
TEST_F(UserStateTest, RefusesAPendingEventThatTheModelDoesNotKnow) {
  constexpr size_t kItemRow = 16, kAction = 20;  // docs/storage.md
  for (const size_t at : {kItemRow, kAction}) {
    for (const uint32_t beyond :
         {model_.bundle->spec().num_items() + 1, uint64_t{1} << 31}) {
      std::string damaged = bytes_;
      std::memcpy(damaged.data() + at, &beyond, sizeof(beyond));
      const absl::Status status = Parse(damaged);
      EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss) << at;
      EXPECT_THAT(std::string(status.message()), HasSubstr("pending item row"));
    }
  }
}

}  // namespace
}  // namespace qlarank::testing
