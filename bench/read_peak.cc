#include "bench/read_peak.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "bench/read_peak.cc"
#include "hwy/foreach_target.h"
// Must follow foreach_target.h.
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace qlarank::bench::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// Of 64 bytes at most; eight sums, so that none is waited for.
uint64_t Read(const uint64_t* words, size_t count) {
  const hn::CappedTag<uint64_t, kReadWords / 8> d;
  const size_t lanes = hn::Lanes(d);
  auto s0 = hn::Zero(d), s1 = s0, s2 = s0, s3 = s0, s4 = s0, s5 = s0, s6 = s0,
       s7 = s0;
  for (size_t i = 0; i < count; i += 8 * lanes) {
    const uint64_t* const from = words + i;
    s0 = hn::Add(s0, hn::Load(d, from));
    s1 = hn::Add(s1, hn::Load(d, from + lanes));
    s2 = hn::Add(s2, hn::Load(d, from + 2 * lanes));
    s3 = hn::Add(s3, hn::Load(d, from + 3 * lanes));
    s4 = hn::Add(s4, hn::Load(d, from + 4 * lanes));
    s5 = hn::Add(s5, hn::Load(d, from + 5 * lanes));
    s6 = hn::Add(s6, hn::Load(d, from + 6 * lanes));
    s7 = hn::Add(s7, hn::Load(d, from + 7 * lanes));
  }
  const auto sum = hn::Add(hn::Add(hn::Add(s0, s1), hn::Add(s2, s3)),
                           hn::Add(hn::Add(s4, s5), hn::Add(s6, s7)));
  return hn::GetLane(hn::SumOfLanes(d, sum));
}

}  // namespace qlarank::bench::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace qlarank::bench {

HWY_EXPORT(Read);

uint64_t ReadOnce(absl::Span<const uint64_t> words) {
  return HWY_DYNAMIC_DISPATCH(Read)(words.data(), words.size());
}

}  // namespace qlarank::bench
#endif  // HWY_ONCE
