// Kernels of the delta rule.

#include <algorithm>
#include <cmath>

#include "bench/attention/kernels.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "bench/attention/delta_kernels.cc"
#include "hwy/foreach_target.h"
// Must follow foreach_target.h.
#include "bench/attention/vectors-inl.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace qlarank::bench::attention::HWY_NAMESPACE {

void UnitHeads(size_t width, float* x) {
  for (size_t i = 0; i < width; i += kHeadWidth) {
    const float norm = std::sqrt(DotHead(x + i, x + i));
    Scale(1.0f / std::max(norm, 1e-12f), x + i, x + i);
  }
}

// One head: what q reads of m, and then m decayed, with v under k. The reads
// for q and k share the loads of m, and have two chains each.
HWY_INLINE void DeltaHead(const float* q, const float* k, const float* v,
                          float loss, float write, float* m, float* o) {
  const D d;
  for (size_t column = 0; column < kHeadWidth; column += kLanes) {
    Vector read[2] = {hn::Zero(d), hn::Zero(d)};
    Vector known[2] = {hn::Zero(d), hn::Zero(d)};
    for (size_t i = 0; i < kHeadWidth; ++i) {
      const auto row = hn::LoadU(d, m + i * kHeadWidth + column);
      read[i % 2] = hn::MulAdd(hn::Set(d, q[i]), row, read[i % 2]);
      known[i % 2] = hn::MulAdd(hn::Set(d, k[i]), row, known[i % 2]);
    }
    hn::StoreU(hn::Add(read[0], read[1]), d, o + column);
    const auto decayed =
        hn::Mul(hn::Set(d, 1.0f - loss), hn::Add(known[0], known[1]));
    const auto change =
        hn::Mul(hn::Set(d, write), hn::Sub(hn::LoadU(d, v + column), decayed));
    const auto minus_loss = hn::Set(d, -loss);
    for (size_t i = 0; i < kHeadWidth; ++i) {
      float* at = m + i * kHeadWidth + column;
      const auto row = hn::LoadU(d, at);
      const auto written = hn::Mul(hn::Set(d, k[i]), change);
      hn::StoreU(hn::Add(row, hn::MulAdd(minus_loss, row, written)), d, at);
    }
  }
}

void AttendAndFoldDelta(const float* qkv, const float* loss, const float* write,
                        float* m, float* o) {
  for (size_t head = 0; head < kHeads; ++head) {
    const float* q = qkv + head * kHeadWidth;
    DeltaHead(q, q + kWidth, q + 2 * kWidth, loss[head], write[head],
              m + head * kHeadFloats, o + head * kHeadWidth);
  }
}

}  // namespace qlarank::bench::attention::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace qlarank::bench::attention {

HWY_EXPORT(UnitHeads);
HWY_EXPORT(AttendAndFoldDelta);

void UnitHeads(size_t width, float* x) {
  HWY_DYNAMIC_DISPATCH(UnitHeads)(width, x);
}

void AttendAndFoldDelta(const float* qkv, const float* loss, const float* write,
                        float* m, float* o) {
  HWY_DYNAMIC_DISPATCH(AttendAndFoldDelta)(qkv, loss, write, m, o);
}

}  // namespace qlarank::bench::attention
#endif  // HWY_ONCE
