// What the norm behind every head hides from attention_test: a head's weights
// are divided by their sum or number, and weights far apart do not overflow.

#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <vector>

#include "bench/attention/kernels.h"
#include "bench/attention/key_cache.h"
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

}  // namespace
}  // namespace qlarank::bench::attention
