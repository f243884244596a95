#include "server/rank/summary_encoding.h"

#include <cmath>
#include <random>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace qlarank {
namespace {

using ::testing::ElementsAre;
using ::testing::ElementsAreArray;
using ::testing::IsEmpty;

UserSummary SummaryOf(const std::vector<float>& values) {
  UserSummary summary;
  summary.values.assign(values.begin(), values.end());
  return summary;
}

TEST(SummaryEncodingTest, FloatsAreReturnedAsTheyAre) {
  const std::vector<float> values = {1, -2.5, 0, 1e-30f, 3, 4};
  v1::GetUserSummaryResponse response;
  EncodeSummary(SummaryOf(values), 2, v1::SUMMARY_ENCODING_FLOAT32, response);
  EXPECT_EQ(response.num_seeds(), 2);
  EXPECT_EQ(response.width(), 3);
  EXPECT_THAT(response.values(), ElementsAreArray(values));
  EXPECT_THAT(response.scales(), IsEmpty());
  EXPECT_THAT(response.quantized_values(), IsEmpty());

  v1::GetUserSummaryResponse unspecified;
  EncodeSummary(SummaryOf(values), 2, v1::SUMMARY_ENCODING_UNSPECIFIED,
                unspecified);
  EXPECT_THAT(unspecified.values(), ElementsAreArray(values));
}

TEST(SummaryEncodingTest, BytesAreSymmetricWithAScaleForEachSummary) {
  v1::GetUserSummaryResponse response;
  EncodeSummary(SummaryOf({127, -127, 2.4f, -0.25f, 0.5f, 0}), 2,
                v1::SUMMARY_ENCODING_INT8, response);
  EXPECT_THAT(response.scales(), ElementsAre(1.0f, 0.5f / 127));
  const std::string& bytes = response.quantized_values();
  EXPECT_THAT(std::vector<int8_t>(bytes.begin(), bytes.end()),
              ElementsAre(127, -127, 2, -64, 127, 0));
  EXPECT_THAT(response.values(), IsEmpty());
}

TEST(SummaryEncodingTest, BytesAreWrongByHalfAScaleAtMost) {
  std::mt19937 random(1);
  std::normal_distribution<float> normal;
  std::vector<float> values(64 * 32);
  for (float& value : values) value = normal(random);
  v1::GetUserSummaryResponse response;
  EncodeSummary(SummaryOf(values), 64, v1::SUMMARY_ENCODING_INT8, response);
  ASSERT_EQ(response.quantized_values().size(), values.size());
  for (size_t i = 0; i < values.size(); ++i) {
    const double scale = response.scales(i / 32);
    const double decoded =
        scale * static_cast<int8_t>(response.quantized_values()[i]);
    // A float's rounding of x / scale may move a tie.
    ASSERT_LE(std::abs(decoded - values[i]), scale * (0.5 + 1e-5)) << i;
  }
}

TEST(SummaryEncodingTest, ASummaryOfZerosHasScaleZero) {
  v1::GetUserSummaryResponse response;
  EncodeSummary(SummaryOf({0, 0, 0, 0}), 2, v1::SUMMARY_ENCODING_INT8,
                response);
  EXPECT_THAT(response.scales(), ElementsAre(0, 0));
  EXPECT_EQ(response.quantized_values(), std::string(4, '\0'));
}

}  // namespace
}  // namespace qlarank
