// What the norm behind every head hides from attention_test: a head's weights
// are divided by their sum or number, and weights far apart do not overflow.

#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <vector>

#include "bench/attention/kernels.h"
#include "bench/attention/key_cache.h"
#include "bench/attention/normalized_state.h"
#include "model/aligned_vector.h"

namespace qlarank::bench::attention {
namespace {

// Of values around 1; scores of some hundreds lose a hundred times as much.
constexpr double kTolerance = 1e-5;
constexpr double kLargeTolerance = 1e-3;

class KernelsTest : public ::testing::Test {
 protected:
  // Rows and keys with values of the given deviation.
  void Fill(size_t num_rows, size_t num_keys, float deviation) {
    std::normal_distribution<float> normal(0.0f, deviation);
    projected_.resize(kTileRows * 4 * kWidth);
    for (float& value : projected_) value = normal(random_);
    rows_ = {projected_.data(), 4 * kWidth, num_rows};
    keys_.resize(num_keys * kWidth);
    values_.resize(num_keys * kWidth);
    for (float& value : keys_) value = normal(random_);
    for (float& value : values_) value = normal(random_);
    for (size_t j = 0; j < num_keys; ++j) {
      cache_.Store(j, keys_.data() + j * kWidth, values_.data() + j * kWidth);
    }
    bias_.assign(cache_.num_blocks() * kBlockKeys, kMasked);
    for (size_t j = 0; j < num_keys; ++j) bias_[j] = normal(random_);
    o_.assign(kTileRows * kWidth, 0.0f);
  }

  KeyView View(size_t head) const {
    return {cache_.blocks(head), cache_.num_blocks(), bias_.data(),
            /*bias_step=*/0, /*self_bias=*/0.25f};
  }

  // o of one row and head, by the definition.
  std::vector<double> Expected(Weighting weighting, size_t row,
                               size_t head) const {
    const size_t num_keys = keys_.size() / kWidth;
    std::vector<double> sum(kHeadWidth);
    double total = 0, highest = -1e300;
    const auto score = [&](size_t j) {
      const float* k = j < num_keys ? keys_.data() + j * kWidth : rows_.k(row);
      double dot = 0;
      for (size_t i = head * kHeadWidth; i < (head + 1) * kHeadWidth; ++i) {
        dot += static_cast<double>(rows_.q(row)[i]) * k[i];
      }
      return dot / 4 + (j < num_keys ? bias_[j] : 0.25f);
    };
    for (size_t j = 0; j <= num_keys; ++j) {
      highest = std::max(highest, score(j));
    }
    for (size_t j = 0; j <= num_keys; ++j) {
      const double s = score(j);
      const double weight = weighting == Weighting::kSoftmax
                                ? std::exp(s - highest)
                                : s / (1 + std::exp(-s));
      total += weighting == Weighting::kSoftmax ? weight : 1;
      const float* v =
          j < num_keys ? values_.data() + j * kWidth : rows_.v(row);
      for (size_t i = 0; i < kHeadWidth; ++i) {
        sum[i] += weight * v[head * kHeadWidth + i];
      }
    }
    for (double& value : sum) value /= total;
    return sum;
  }

  void ExpectDefinition(Weighting weighting, double tolerance = kTolerance) {
    const float inverse_keys = 1.0f / (keys_.size() / kWidth + 1);
    for (size_t head = 0; head < kHeads; ++head) {
      const auto attend = rows_.count == 1 ? AttendToKeysAlone : AttendToKeys;
      attend(weighting, rows_, head, View(head), inverse_keys, o_.data());
      for (size_t row = 0; row < rows_.count; ++row) {
        const std::vector<double> expected = Expected(weighting, row, head);
        for (size_t i = 0; i < kHeadWidth; ++i) {
          ASSERT_NEAR(o_[row * kWidth + head * kHeadWidth + i], expected[i],
                      tolerance * (1 + std::abs(expected[i])))
              << "row " << row << " head " << head << " column " << i;
        }
      }
    }
  }

  std::mt19937 random_{1};
  AlignedVector<float> projected_, o_;
  std::vector<float> keys_, values_, bias_;
  KeyCache cache_;
  Rows rows_;
};

// 300 keys are two chunks and a part of a third, whose last block is not full.
TEST_F(KernelsTest, SoftmaxWeightsSumToOne) {
  Fill(/*num_rows=*/19, /*num_keys=*/300, 1.0f);
  ExpectDefinition(Weighting::kSoftmax);
}

TEST_F(KernelsTest, SoftmaxOfOneRowIsTheSame) {
  Fill(/*num_rows=*/1, /*num_keys=*/300, 1.0f);
  ExpectDefinition(Weighting::kSoftmax);
}

// Scores of some hundreds: exp of them is not a float.
TEST_F(KernelsTest, SoftmaxDoesNotOverflow) {
  Fill(/*num_rows=*/8, /*num_keys=*/300, 12.0f);
  ExpectDefinition(Weighting::kSoftmax, kLargeTolerance);
}

TEST_F(KernelsTest, SiluWeightsAreDividedByTheirNumber) {
  Fill(/*num_rows=*/19, /*num_keys=*/300, 1.0f);
  ExpectDefinition(Weighting::kSilu);
}

TEST_F(KernelsTest, SiluWeightsFarApartAreFinite) {
  Fill(/*num_rows=*/1, /*num_keys=*/100, 12.0f);
  ExpectDefinition(Weighting::kSilu);
}

TEST_F(KernelsTest, LinearDividesByTheSumOfItsWeights) {
  Fill(/*num_rows=*/3, /*num_keys=*/0, 1.0f);
  std::vector<float> normalizer(kHeadWidth, 100.0f);
  EluPlusOne(kTileRows * 4 * kWidth, projected_.data());
  o_.assign(o_.size(), 2.0f);
  NormalizeWithSelf(rows_, /*head=*/1, normalizer.data(), o_.data());
  for (size_t row = 0; row < 3; ++row) {
    double self = 0, others = 0;
    for (size_t i = kHeadWidth; i < 2 * kHeadWidth; ++i) {
      self += rows_.q(row)[i] * rows_.k(row)[i];
      others += rows_.q(row)[i] * 100.0;
    }
    for (size_t i = kHeadWidth; i < 2 * kHeadWidth; ++i) {
      EXPECT_NEAR(o_[row * kWidth + i],
                  (2.0 + self * rows_.v(row)[i]) / (others + self), kTolerance);
    }
  }
}

// Events 0 and 1 decay under those that follow them, in the sum and in what it
// is divided by; row 3 reads, itself included.
TEST_F(KernelsTest, DecayedLinearDividesByTheDecayedSumOfItsWeights) {
  Fill(/*num_rows=*/4, /*num_keys=*/0, 1.0f);
  const float loss[kHeads] = {0.5f, 0.25f, 0.125f, 0.0f};
  NormalizedState state;
  for (size_t row = 0; row < 3; ++row) {
    const Rows one{rows_.q(row), rows_.stride, 1};
    state.Read(one, o_.data());
    state.DecayAndFold(one, loss);
  }
  const Rows reader{rows_.q(3), rows_.stride, 1};
  state.Read(reader, o_.data());
  for (size_t i = 0; i < kWidth; ++i) {
    const size_t head = i / kHeadWidth;
    double total = 0, weights = 0;
    for (size_t row = 0; row < 4; ++row) {
      double weight = row == 3 ? 1 : std::pow(1 - loss[head], 2.0 - row);
      double dot = 0;
      for (size_t c = head * kHeadWidth; c < (head + 1) * kHeadWidth; ++c) {
        dot += static_cast<double>(reader.q(0)[c]) * rows_.k(row)[c];
      }
      weight *= dot;
      total += weight * rows_.v(row)[i];
      weights += weight;
    }
    EXPECT_NEAR(o_[i], total / weights, kTolerance) << "column " << i;
  }
}

TEST_F(KernelsTest, UnitHeadsHaveLengthOne) {
  Fill(/*num_rows=*/1, /*num_keys=*/0, 3.0f);
  const std::vector<float> before(rows_.q(0), rows_.k(0));
  UnitHeads(kWidth, rows_.q(0));
  for (size_t head = 0; head < kHeads; ++head) {
    double squares = 0;
    for (size_t i = 0; i < kHeadWidth; ++i) {
      squares += std::pow(before[head * kHeadWidth + i], 2);
    }
    for (size_t i = head * kHeadWidth; i < (head + 1) * kHeadWidth; ++i) {
      EXPECT_NEAR(rows_.q(0)[i], before[i] / std::sqrt(squares), kTolerance);
    }
  }
}

TEST_F(KernelsTest, UnitHeadsOfNothingAreFinite) {
  std::vector<float> nothing(kWidth, 0.0f);
  UnitHeads(kWidth, nothing.data());
  EXPECT_EQ(nothing, std::vector<float>(kWidth, 0.0f));
}

// What is written under a key is what the key then reads, where the strength
// is 1; and other keys keep theirs, decayed.
TEST_F(KernelsTest, TheDeltaRuleReplacesWhatItsKeyReads) {
  Fill(/*num_rows=*/4, /*num_keys=*/0, 1.0f);
  const float none[kHeads] = {}, all[kHeads] = {1, 1, 1, 1};
  const float half[kHeads] = {0.5f, 0.5f, 0.5f, 0.5f};
  std::vector<float> state(kHeads * kHeadFloats, 0.0f);
  // Keys along two axes; row 2 replaces row 0, row 3 reads along both.
  for (size_t row = 0; row < 4; ++row) {
    for (size_t i = 0; i < kWidth; ++i) {
      rows_.k(row)[i] = i % kHeadWidth == row % 2;
      rows_.q(row)[i] = i % kHeadWidth < 2;
    }
    AttendAndFoldDelta(rows_.q(row), row == 2 ? half : none, all, state.data(),
                       o_.data());
  }
  for (size_t i = 0; i < kWidth; ++i) {
    EXPECT_NEAR(o_[i], rows_.v(2)[i] + 0.5f * rows_.v(1)[i], kTolerance);
  }
}

TEST(GateLossesTest, AreWhatExpOfMinusSoftplusTakesAway) {
  const float bias[kHeads] = {0.0f, 0.5f, -3.0f, 100.0f};
  float x[kHeads] = {0.0f, 1.0f, -200.0f, 100.0f};
  GateLosses(bias, x);
  EXPECT_NEAR(x[0], 0.5, 1e-7);
  EXPECT_NEAR(x[1], 1 - std::exp(-std::log1p(std::exp(1.5))), 1e-7);
  EXPECT_NEAR(x[2], 0.0, 1e-7);
  EXPECT_EQ(x[3], 1.0f);
}

}  // namespace
}  // namespace qlarank::bench::attention
