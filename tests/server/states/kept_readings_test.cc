#include "server/states/kept_readings.h"

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "gtest/gtest.h"
#include "tests/testing/requests.h"

namespace qlarank::testing {
namespace {

constexpr size_t kBytes = 10'000;  // of a reading, with what it takes beside it
constexpr size_t kReadingBytes = kBytes - 400;

class KeptReadingsTest : public ::testing::Test {
 protected:
  KeptReadingsTest() { Budget(3 * kBytes); }

  void Budget(size_t bytes) {
    cache_ = std::make_shared<ReadingCache>(
        bytes, [this](int64_t change) { reported_ += change; });
  }

  std::unique_ptr<KeptReadings> NewState() {
    return std::make_unique<KeptReadings>(cache_);
  }

  std::shared_ptr<const Reading> NewReading() {
    return engine_->Read(*engine_->empty_state(), {}, *scratch_);
  }
  std::shared_ptr<const Reading> Keep(KeptReadings& state,
                                      const std::string& inputs) {
    return state.Keep(inputs, kReadingBytes, NewReading());
  }

  const std::unique_ptr<const Engine> engine_ =
      *Engine::Create(LoadGolden(GoldenModel("dot_l1_plain")));
  const std::unique_ptr<EngineScratch> scratch_ = engine_->NewScratch();
  std::atomic<int64_t> reported_ = 0;
  std::shared_ptr<ReadingCache> cache_;
};

TEST_F(KeptReadingsTest, ReturnsWhatWasKeptOfTheSameInputsOfTheSameState) {
  const auto state = NewState(), other = NewState();
  EXPECT_EQ(state->Get("a"), nullptr);
  const auto reading = Keep(*state, "a");
  EXPECT_EQ(state->Get("a"), reading);
  EXPECT_EQ(state->Get("b"), nullptr);
  EXPECT_EQ(state->Get(std::string("a\0", 2)), nullptr);
  EXPECT_EQ(other->Get("a"), nullptr);
}

TEST_F(KeptReadingsTest, TheFirstOneStays) {
  const auto state = NewState();
  const auto first = Keep(*state, "a");
  EXPECT_EQ(Keep(*state, "a"), first);
  EXPECT_LE(cache_->bytes(), kBytes);
}

TEST_F(KeptReadingsTest, WhatWasAskedForLongestAgoMakesRoom) {
  const auto state = NewState(), other = NewState();
  Keep(*state, "a");
  Keep(*other, "b");
  Keep(*state, "c");
  EXPECT_LE(cache_->bytes(), 3 * kBytes);
  EXPECT_NE(state->Get("a"), nullptr);
  Keep(*other, "d");
  EXPECT_LE(cache_->bytes(), 3 * kBytes);
  EXPECT_EQ(other->Get("b"), nullptr);
  EXPECT_NE(state->Get("a"), nullptr);
  EXPECT_NE(state->Get("c"), nullptr);
  EXPECT_NE(other->Get("d"), nullptr);
}

TEST_F(KeptReadingsTest, OneStateDoesNotCrowdOutTheOthers) {
  Budget(100 * kBytes);
  const auto state = NewState(), other = NewState();
  Keep(*other, "other");
  for (int i = 0; i < 50; ++i) Keep(*state, std::to_string(i));
  EXPECT_NE(other->Get("other"), nullptr);
  EXPECT_LE(cache_->bytes(), (1 + KeptReadings::kMostOfAState) * kBytes);
  EXPECT_NE(state->Get("49"), nullptr);
  EXPECT_EQ(state->Get("0"), nullptr);
}

TEST_F(KeptReadingsTest, AStateTakesItsReadingsAlong) {
  auto state = NewState();
  const auto other = NewState();
  Keep(*other, "other");
  const size_t bytes = cache_->bytes();
  std::weak_ptr<const Reading> gone = Keep(*state, "a");
  EXPECT_FALSE(gone.expired());
  state = nullptr;
  EXPECT_TRUE(gone.expired());
  EXPECT_EQ(cache_->bytes(), bytes);
  EXPECT_NE(other->Get("other"), nullptr);
}

// Those that are too large are for their request alone.
TEST_F(KeptReadingsTest, KeepsNothingThatHasNoRoom) {
  Budget(0);
  const auto state = NewState();
  EXPECT_NE(Keep(*state, "a"), nullptr);
  EXPECT_EQ(state->Get("a"), nullptr);
  EXPECT_EQ(cache_->bytes(), 0);
  Budget(kBytes);
  const auto another = NewState();
  Keep(*another, "a");
  EXPECT_NE(another->Keep("b", 2 * kBytes, NewReading()), nullptr);
  EXPECT_EQ(another->Get("b"), nullptr);
  EXPECT_NE(another->Get("a"), nullptr);
}

TEST_F(KeptReadingsTest, InputsCount) {
  const auto state = NewState();
  Keep(*state, std::string(2 * kBytes, 'x'));
  EXPECT_GE(cache_->bytes(), 2 * kBytes + kReadingBytes);
}

TEST_F(KeptReadingsTest, EveryChangeIsReported) {
  auto state = NewState();
  for (const char* inputs : {"a", "b", "a", "c", "d", "e", "f"}) {
    Keep(*state, inputs);
    EXPECT_EQ(reported_, cache_->bytes());
    EXPECT_GT(reported_, 0);
  }
  state = nullptr;
  EXPECT_EQ(reported_, 0);
}

// States come and go while others make room.
TEST_F(KeptReadingsTest, ManyAtOnce) {
  const auto reading = NewReading();
  const auto shared = NewState();
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 500; ++i) {
        const auto own = NewState();
        for (KeptReadings* state : {own.get(), shared.get()}) {
          const std::string inputs = std::to_string(i % 7);
          if (state->Get(inputs) == nullptr) {
            EXPECT_NE(state->Keep(inputs, kReadingBytes, reading), nullptr);
          }
        }
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_LE(cache_->bytes(), 3 * kBytes);
  EXPECT_EQ(reported_, cache_->bytes());
}

}  // namespace
}  // namespace qlarank::testing
