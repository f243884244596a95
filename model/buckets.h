// Logarithmic buckets of gaps and counts: docs/model.md section 1.
#ifndef QLARANK_MODEL_BUCKETS_H_
#define QLARANK_MODEL_BUCKETS_H_

#include <algorithm>
#include <bit>
#include <cstdint>

namespace qlarank {

// The bucket of "no such event".
inline constexpr uint32_t kNoGapBucket = 0;

// b'(count): 1 + min(30, floor(log2(1 + count))).
inline uint32_t CountBucket(uint64_t count) {
  if (count == UINT64_MAX) return 31;
  return 1 + std::min<uint32_t>(30, std::bit_width(count + 1) - 1);
}

// b of the time from `earlier_us` to `later_us` in whole seconds; a negative
// gap counts as 0.
inline uint32_t GapBucket(int64_t earlier_us, int64_t later_us) {
  constexpr uint64_t kMicrosPerSecond = 1'000'000;
  if (later_us <= earlier_us) return CountBucket(0);
  const uint64_t gap_us =
      static_cast<uint64_t>(later_us) - static_cast<uint64_t>(earlier_us);
  return CountBucket(gap_us / kMicrosPerSecond);
}

// The least gap of a bucket, in seconds. REQUIRES: bucket >= 1.
inline int64_t LeastGap(uint32_t bucket) {
  return (int64_t{1} << (bucket - 1)) - 1;
}

}  // namespace qlarank

#endif  // QLARANK_MODEL_BUCKETS_H_
