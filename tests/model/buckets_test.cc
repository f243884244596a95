#include "model/buckets.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>

namespace qlarank {
namespace {

constexpr int64_t kSecond = 1'000'000;

TEST(CountBucketTest, FollowsTheFormula) {
  for (uint64_t count : {0ull, 1ull, 2ull, 3ull, 6ull, 7ull, 8ull, 1000ull,
                         (1ull << 30) - 2, (1ull << 30) - 1, 1ull << 40}) {
    EXPECT_EQ(CountBucket(count),
              1 + std::min(30.0, std::floor(std::log2(1.0 + count))))
        << count;
  }
  EXPECT_EQ(CountBucket(UINT64_MAX), 31u);
}

TEST(GapBucketTest, RoundsDownToWholeSeconds) {
  EXPECT_EQ(GapBucket(0, 0), 1u);
  EXPECT_EQ(GapBucket(0, kSecond - 1), 1u);
  EXPECT_EQ(GapBucket(0, kSecond), 2u);
  EXPECT_EQ(GapBucket(0, 3 * kSecond - 1), 2u);
  EXPECT_EQ(GapBucket(0, 3 * kSecond), 3u);
  EXPECT_EQ(GapBucket(-kSecond, 0), 2u);
}

TEST(GapBucketTest, NegativeGapsCountAsNone) {
  EXPECT_EQ(GapBucket(5 * kSecond, 0), 1u);
  EXPECT_EQ(GapBucket(INT64_MAX, INT64_MIN), 1u);
}

TEST(GapBucketTest, LongestGapsShareTheLastBucket) {
  EXPECT_EQ(GapBucket(0, INT64_MAX), 31u);
  EXPECT_EQ(GapBucket(INT64_MIN, INT64_MAX), 31u);
}

}  // namespace
}  // namespace qlarank
