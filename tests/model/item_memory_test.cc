// The item memory beside docs/model.md section 11 in plain code, and what its
// bytes may not be.
#include "model/item_memory.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <string>

#include "hwy/highway.h"
#include "model/kernels.h"
#include "model/memory_facts.h"
#include "tests/model/plain_memory.h"

namespace qlarank::testing {
namespace {

using ::testing::HasSubstr;

constexpr uint32_t kRows = 30;
constexpr int64_t kDayS = 86'400;

model::v1::ModelSpec Spec(uint32_t entries, std::vector<uint64_t> half_lives) {
  model::v1::ModelSpec spec;
  spec.mutable_item_memory()->set_entries(entries);
  for (const uint64_t seconds : half_lives) {
    spec.mutable_item_memory()->add_half_lives_s(seconds);
  }
  return spec;
}

struct Shape {
  uint32_t entries;
  std::vector<uint64_t> half_lives;
};

class ItemMemoryTest : public ::testing::TestWithParam<Shape> {
 protected:
  StateBlock Folded(absl::Span<const ModelEvent> events) {
    StateBlock memory = model_.Empty();
    for (const ModelEvent& event : events) {
      model_.Fold(event.item_row, event.time_us, memory);
    }
    return memory;
  }

  std::string Bytes(const StateBlock& memory) {
    std::string bytes;
    model_.Append(memory, bytes);
    return bytes;
  }

  const model::v1::ModelSpec spec_ =
      Spec(GetParam().entries, GetParam().half_lives);
  const ItemMemory model_{spec_};
};

TEST_P(ItemMemoryTest, KeepsWhatPlainCodeKeeps) {
  for (uint32_t seed = 1; seed <= 20; ++seed) {
    StateBlock memory = model_.Empty();
    PlainMemory plain(spec_.item_memory());
    for (const ModelEvent& event : MemoryEvents(400, kRows, seed)) {
      model_.Fold(event.item_row, event.time_us, memory);
      plain.Fold(event.item_row, event.time_us);
      ASSERT_LE(plain.entries().size(), model_.entries());
      for (size_t slot = 0; slot < model_.entries(); ++slot) {
        const MemoryEntry entry = model_.Get(memory, slot);
        if (slot >= plain.entries().size()) {
          ASSERT_EQ(entry.row, 0u);
          ASSERT_EQ(entry.count, 0u);
          continue;
        }
        const PlainEntry& expected = plain.entries()[slot];
        ASSERT_EQ(entry.row, expected.row);
        ASSERT_EQ(entry.count, expected.count);
        ASSERT_EQ(entry.first_s, expected.first_s);
        ASSERT_EQ(entry.last_s, expected.last_s);
        for (size_t h = 0; h < expected.decayed.size(); ++h) {
          ASSERT_FLOAT_EQ(entry.decayed[h], expected.decayed[h]);
        }
      }
    }
  }
}

TEST_P(ItemMemoryTest, FactsAreThoseOfPlainCode) {
  constexpr size_t kTasks = 3;
  std::mt19937 random(1);
  std::vector<float> head(kTasks * model_.num_facts());
  for (float& weight : head) weight = random() * 0x1p-31f - 1;
  for (const size_t num_events : {0, 1, 5, 400}) {
    const auto events = MemoryEvents(num_events, kRows, 7);
    PlainMemory plain(spec_.item_memory());
    for (const auto& event : events) plain.Fold(event.item_row, event.time_us);
    const int64_t newest_s =
        events.empty() ? 0 : FloorSeconds(events.back().time_us);
    for (const int64_t later : {-9 * kDayS, int64_t{0}, int64_t{1}, int64_t{63},
                                kDayS, 1000 * kDayS}) {
      const int64_t as_of_s = newest_s + later;
      const MemoryFacts facts(model_, Folded(events), as_of_s, head);
      ASSERT_TRUE(facts.finite());
      for (uint32_t row = 0; row < 2 * kRows; ++row) {
        const std::vector<float> expected = plain.Facts(row, as_of_s);
        const float* found = facts.Find(row);
        ASSERT_EQ(found != nullptr, expected[0] == 1);
        if (found == nullptr) continue;
        for (size_t j = 0; j < expected.size(); ++j) {
          ASSERT_FLOAT_EQ(found[j], expected[j]) << "fact " << j;
        }
        for (size_t task = 0; task < kTasks; ++task) {
          float logit = 0;
          for (size_t j = 0; j < expected.size(); ++j) {
            logit = std::fma(found[j], head[task * expected.size() + j], logit);
          }
          ASSERT_EQ(found[expected.size() + task], logit);
        }
      }
    }
  }
}

// Far apart, or one after the other: a table finds each and nobody else.
TEST_P(ItemMemoryTest, FindsEveryRow) {
  const std::vector<float> head(model_.num_facts());
  for (const uint32_t step : {1u, 64u, 4096u, 1u << 20}) {
    StateBlock memory = model_.Empty();
    for (uint32_t i = 0; i < model_.entries(); ++i) {
      model_.Fold(5 + i * step, i, memory);
    }
    const MemoryFacts facts(model_, memory, 0, head);
    for (uint32_t i = 0; i < model_.entries(); ++i) {
      EXPECT_NE(facts.Find(5 + i * step), nullptr);
      EXPECT_EQ(facts.Find(5 + i * step + (step > 1 ? 1 : 5000)), nullptr);
    }
  }
}

TEST_P(ItemMemoryTest, FactsTakeTheSameForEveryHistory) {
  const std::vector<float> head(2 * model_.num_facts());
  const MemoryFacts none(model_, model_.Empty(), 0, head);
  const MemoryFacts many(model_, Folded(MemoryEvents(400, kRows, 3)), 0, head);
  EXPECT_EQ(none.size_bytes(), many.size_bytes());
  EXPECT_GE(none.size_bytes(),
            model_.entries() * (model_.num_facts() + 2) * sizeof(float));
}

TEST_P(ItemMemoryTest, RoundTripsAndGoesOnBitForBit) {
  const auto events = MemoryEvents(400, kRows, 5);
  for (const size_t cut : {0, 1, 10, 200, 399}) {
    const std::string bytes = Bytes(Folded(absl::MakeSpan(events).first(cut)));
    ASSERT_EQ(bytes.size(), model_.num_bytes());
    auto memory = model_.Parse(bytes, kRows, cut);
    ASSERT_TRUE(memory.ok()) << memory.status();
    EXPECT_EQ(Bytes(*memory), bytes);
    for (size_t i = cut; i < events.size(); ++i) {
      model_.Fold(events[i].item_row, events[i].time_us, *memory);
    }
    EXPECT_EQ(Bytes(*memory), Bytes(Folded(events)));
  }
}

INSTANTIATE_TEST_SUITE_P(
    Shapes, ItemMemoryTest,
    ::testing::Values(Shape{8, {kDayS}}, Shape{16, {60, 30 * kDayS}},
                      Shape{24, {3600, kDayS, 7 * kDayS}},
                      Shape{128, {3600, kDayS, 7 * kDayS, 1ull << 40}},
                      Shape{8, {1, 2, 3, 4, 5, 6, 7, 8}}),
    [](const auto& info) { return "shape" + std::to_string(info.index); });

class MemoryBytesTest : public ::testing::Test {
 protected:
  // Offsets of docs/storage.md.
  static constexpr size_t kEntry = 40, kRow = 0, kCount = 4, kFirst = 8,
                          kLast = 16, kDecayed = 24, kPadding = 36;

  MemoryBytesTest() {
    StateBlock memory = model_.Empty();
    for (int i = 0; i < 3; ++i) {
      for (uint32_t row = 1; row <= 5; ++row) {
        model_.Fold(row, i * 3600'000'000ll, memory);
      }
    }
    model_.Append(memory, bytes_);
  }

  template <typename T>
  void Put(size_t entry, size_t field, T value) {
    std::memcpy(bytes_.data() + entry * kEntry + field, &value, sizeof(value));
  }
  void ExpectRefused(const std::string& message, uint64_t num_events = 1000) {
    const absl::Status status =
        model_.Parse(bytes_, kRows, num_events).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
    EXPECT_THAT(std::string(status.message()), HasSubstr(message));
  }

  const ItemMemory model_{Spec(8, {3600, kDayS, 7 * kDayS})};
  std::string bytes_;
};

TEST_F(MemoryBytesTest, AreTakenAsTheyAre) {
  ASSERT_EQ(bytes_.size(), 8 * kEntry);
  EXPECT_TRUE(model_.Parse(bytes_, 6, 15).ok());
}

TEST_F(MemoryBytesTest, ARowIsOneOfTheModels) {
  Put<uint32_t>(2, kRow, kRows);
  ExpectRefused("entry 2: item row 30; the model has 30");
}

TEST_F(MemoryBytesTest, NoRowIsThereTwice) {
  Put<uint32_t>(2, kRow, 1);
  ExpectRefused("item row 1 twice");
}

TEST_F(MemoryBytesTest, AnUnusedSlotIsAllZero) {
  Put<uint32_t>(4, kRow, 0);
  ExpectRefused("entry 4: item row 0");
  bytes_.replace(4 * kEntry, kEntry, kEntry, '\0');
  EXPECT_TRUE(model_.Parse(bytes_, kRows, 1000).ok());
  for (const size_t field : {kCount, kFirst, kLast, kDecayed}) {
    const std::string healthy = bytes_;
    Put<uint32_t>(6, field, 1);
    ExpectRefused("entry 6");
    bytes_ = healthy;
  }
}

TEST_F(MemoryBytesTest, UsedSlotsComeFirst) {
  bytes_.replace(1 * kEntry, kEntry, kEntry, '\0');
  ExpectRefused("entry 2: item row 3 twice, or where no slot is used");
}

TEST_F(MemoryBytesTest, AnItemHasAnEvent) {
  Put<uint32_t>(0, kCount, 0);
  ExpectRefused("no event of item row 1");
}

TEST_F(MemoryBytesTest, ThereAreNoMoreEventsThanTheStates) {
  EXPECT_TRUE(model_.Parse(bytes_, kRows, 15).ok());
  ExpectRefused("entry 4: 15 events or more of 14", 14);
  Put<uint32_t>(1, kCount, 1001);
  ExpectRefused("entry 1: 1004 events or more of 1000");
}

TEST_F(MemoryBytesTest, TheFirstEventComesBeforeTheLast) {
  Put<int64_t>(3, kFirst, 7201);
  ExpectRefused("from second 7201 to 7200");
}

// Beyond them, differences of times would not fit.
TEST_F(MemoryBytesTest, TimesAreMicroseconds) {
  constexpr int64_t kMost = std::numeric_limits<int64_t>::max() / 1'000'000;
  Put<int64_t>(3, kFirst, -kMost - 1);
  Put<int64_t>(3, kLast, kMost);
  EXPECT_TRUE(model_.Parse(bytes_, kRows, 1000).ok());
  Put<int64_t>(3, kLast, kMost + 1);
  ExpectRefused("from second");
  Put<int64_t>(3, kLast, kMost);
  Put<int64_t>(3, kFirst, std::numeric_limits<int64_t>::min());
  ExpectRefused("from second");
}

TEST_F(MemoryBytesTest, DecayedCountsAreFiniteAndAboveZero) {
  const std::string healthy = bytes_;
  for (const float bad : {0.0f, -0.0f, -1.0f, std::nanf(""),
                          std::numeric_limits<float>::infinity()}) {
    for (size_t h = 0; h < 3; ++h) {
      Put<float>(1, kDecayed + h * sizeof(float), bad);
      ExpectRefused("decayed count");
      bytes_ = healthy;
    }
  }
  Put<float>(1, kPadding, 1);
  ExpectRefused("decayed count 1 of item row 2");
}

TEST(WholeSecondsTest, AreRoundedDown) {
  EXPECT_EQ(WholeSeconds(0), 0);
  EXPECT_EQ(WholeSeconds(999'999), 0);
  EXPECT_EQ(WholeSeconds(1'000'000), 1);
  EXPECT_EQ(WholeSeconds(-1), -1);
  EXPECT_EQ(WholeSeconds(-1'000'000), -1);
  EXPECT_EQ(WholeSeconds(-1'000'001), -2);
}

TEST(ItemMemoryCountTest, StaysAtTheMost) {
  const ItemMemory model(Spec(8, {60}));
  MemoryEntry entry{3, std::numeric_limits<uint32_t>::max(), 0, 0, {1}};
  std::string bytes(model.num_bytes(), '\0');
  std::memcpy(bytes.data(), &entry, 32);
  auto memory = model.Parse(bytes, kRows, 1ull << 40);
  ASSERT_TRUE(memory.ok()) << memory.status();
  model.Fold(3, 0, *memory);
  EXPECT_EQ(model.Get(*memory, 0).count, std::numeric_limits<uint32_t>::max());
  EXPECT_EQ(model.Get(*memory, 0).decayed[0], 2);
}

// On every instruction set that this processor has.
class DoubleFunctionsTest : public ::testing::TestWithParam<int64_t> {
 protected:
  DoubleFunctionsTest() { Use(GetParam()); }
  ~DoubleFunctionsTest() override { Use(0); }

  static void Use(int64_t target) {
    hwy::SetSupportedTargetsForTest(target);
    hwy::GetChosenTarget().DeInit();
  }
};

// docs/model.md section 11, operation by operation.
double PlainLog(double x) {
  uint64_t bits;
  std::memcpy(&bits, &x, sizeof(bits));
  double e = static_cast<double>(bits >> 52) - 1023;
  bits = (bits & 0x000FFFFFFFFFFFFF) | 0x3FF0000000000000;
  double m;
  std::memcpy(&m, &bits, sizeof(m));
  if (m > 1.4142135623730951) {
    m = m / 2;
    e = e + 1;
  }
  const double s = (m - 1) / (m + 1);
  const double z = s * s;
  double p = 1.0 / 19;
  for (int i = 8; i >= 0; --i) {
    // Rounded twice, whatever the compiler would like to fuse.
    const volatile double product = p * z;
    p = product + 1.0 / (2 * i + 1);
  }
  const volatile double ln_m = (2 * s) * p, ln_power = e * kLn2;
  return ln_power + ln_m;
}

TEST_P(DoubleFunctionsTest, LogHasItsDefinitionsBits) {
  std::mt19937_64 random(1);
  std::vector<double> x = {1,   2,     3,      0.5,         1.4142135623730951,
                           1.5, 1e300, 1e-300, 1 + 0x1p-52, 4294967296.0};
  while (x.size() < 4000) {
    x.push_back(std::ldexp(1 + 0x1p-64 * random(),
                           static_cast<int>(random() % 120) - 40));
  }
  std::vector<double> logs(x.size());
  kernels::LogAll(x.data(), x.size(), logs.data());
  for (size_t i = 0; i < x.size(); ++i) {
    ASSERT_EQ(logs[i], PlainLog(x[i])) << x[i];
    ASSERT_EQ(logs[i], kernels::Log(x[i])) << x[i];
    ASSERT_NEAR(logs[i], std::log(x[i]), 4e-16 * (1 + std::abs(logs[i])));
  }
}

TEST_P(DoubleFunctionsTest, ExpOfManyHasTheBitsOfEach) {
  std::vector<double> x(512), exps(x.size());
  for (size_t i = 0; i < x.size(); ++i) x[i] = -64.0 * i / (x.size() - 1);
  kernels::ExpAll(x.data(), x.size(), exps.data());
  for (size_t i = 0; i < x.size(); ++i) {
    ASSERT_EQ(exps[i], kernels::Exp(x[i]));
    ASSERT_NEAR(exps[i] / std::exp(x[i]), 1, 1e-13);
  }
}

INSTANTIATE_TEST_SUITE_P(
    Targets, DoubleFunctionsTest,
    ::testing::ValuesIn(hwy::SupportedAndGeneratedTargets()),
    [](const auto& info) { return hwy::TargetName(info.param); });

}  // namespace
}  // namespace qlarank::testing
