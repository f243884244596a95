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

// Random damage is refused or gives a state of the model's size: never a crash.
TEST_F(UserStateTest, SurvivesRandomDamage) {
  std::mt19937 random(1);
  for (int round = 0; round < 2000; ++round) {
    std::string damaged = bytes_;
    for (int flips = 0; flips < 3; ++flips) {
      damaged[random() % 64] ^= static_cast<char>(1 << random() % 8);
    }
    const auto state = model_.engine->ParseState(damaged);
    if (state.ok()) {
      EXPECT_EQ((*state)->values.size(),
                model_.engine->empty_state()->values.size());
    }
  }
}

}  // namespace
}  // namespace qlarank::testing
