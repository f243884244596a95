// The loop that lone rows are held to reads every word that it counts.
#include "bench/read_peak.h"

#include <random>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "bench/fma_peak.h"
#include "bench/thread_time.h"
#include "gtest/gtest.h"
#include "model/aligned_vector.h"

namespace qlarank::bench {
namespace {

TEST(ReadPeakTest, TheSumIsOfEveryWord) {
  std::mt19937_64 random(1);
  AlignedVector<uint64_t> words(3 * kReadWords);
  uint64_t sum = 0;
  for (uint64_t& word : words) sum += word = random();
  EXPECT_EQ(ReadOnce(words), sum);
  EXPECT_EQ(ReadOnce({}), 0);
  for (uint64_t& word : words) {
    ++word;
    ASSERT_EQ(ReadOnce(words), ++sum) << &word - words.data();
  }
}

// A cache line a cycle comes from L1 everywhere, three at most; a loop that
// does more than read would not reach a third of one.
TEST(ReadPeakTest, IsBoundByItsLoads) {
  const AlignedVector<uint64_t> words(16 * kReadWords);  // 16 KiB
  constexpr double kLineBytes = 64;
  const absl::Time end = absl::Now() + absl::Seconds(10);
  double lines_per_cycle = 0;
  do {
    const double clock = ClockHz(absl::Milliseconds(2));
    const absl::Duration begin = ThreadTime();
    double bytes = 0;
    uint64_t sum = 0;
    for (int i = 0; i < 2000; ++i) {
      sum += ReadOnce(words);
      bytes += static_cast<double>(words.size()) * sizeof(uint64_t);
    }
    EXPECT_EQ(sum, 0);
    lines_per_cycle = bytes / kLineBytes /
                      absl::ToDoubleSeconds(ThreadTime() - begin) / clock;
  } while ((lines_per_cycle < 1.0 / 3 || lines_per_cycle > 3.3) &&
           absl::Now() < end);
  EXPECT_GT(lines_per_cycle, 1.0 / 3);
  EXPECT_LT(lines_per_cycle, 3.3);
}

}  // namespace
}  // namespace qlarank::bench
