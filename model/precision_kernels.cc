#include "model/precision_kernels.h"

#include <algorithm>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "model/precision_kernels.cc"
#include "hwy/foreach_target.h"
// Must follow foreach_target.h.
#include "hwy/highway.h"
#include "model/kernels-inl.h"

HWY_BEFORE_NAMESPACE();
namespace qlarank::kernels::HWY_NAMESPACE {

void ToBf16(const float* x, size_t size, uint16_t* out) {
  WithTag(size, [&](auto d) {
    const hn::RebindToUnsigned<decltype(d)> bits_tag;
    const hn::Rebind<uint16_t, decltype(d)> out_tag;
    for (size_t i = 0; i < size; i += hn::Lanes(d)) {
      const auto bits = hn::BitCast(bits_tag, hn::LoadU(d, x + i));
      const auto odd = hn::And(hn::ShiftRight<16>(bits), hn::Set(bits_tag, 1u));
      const auto rounded =
          hn::Add(hn::Add(bits, hn::Set(bits_tag, 0x7fffu)), odd);
      // Rounding would carry some NaNs into the sign, and make them zeros.
      const auto kept = hn::IfThenElse(
          hn::RebindMask(bits_tag, hn::IsNaN(hn::LoadU(d, x + i))),
          hn::Set(bits_tag, 0x7fc00000u), rounded);
      hn::StoreU(hn::TruncateTo(out_tag, hn::ShiftRight<16>(kept)), out_tag,
                 out + i);
    }
  });
}

// NaN where a value is not finite: nothing else would show it afterwards, as
// neither a maximum nor 8 bits keep it.
template <class D>
HWY_INLINE float LargestMagnitude(D d, const float* x, size_t width) {
  auto most = hn::Zero(d), nothing = hn::Zero(d);
  const auto zero = hn::Zero(d);
  for (size_t i = 0; i < width; i += hn::Lanes(d)) {
    const auto v = hn::LoadU(d, x + i);
    most = hn::Max(most, hn::Abs(v));
    nothing = hn::MulAdd(v, zero, nothing);
  }
  return hn::GetLane(hn::MaxOfLanes(d, most)) +
         hn::GetLane(hn::SumOfLanes(d, nothing));
}

template <class D>
HWY_INLINE void QuantizeBlock(D d, const float* x, size_t rows, size_t width,
                              int levels, uint8_t* out, float* scales) {
  const hn::RebindToUnsigned<D> bits_tag;
  const hn::Rebind<uint8_t, D> out_tag;
  HWY_ALIGN float largest[kRowBlock];
  for (size_t row = 0; row < rows; ++row) {
    // A row of zeros stays one; the bound keeps the inverse finite. (A NaN is
    // not less than it, and stays.)
    largest[row] =
        std::max(LargestMagnitude(d, x + row * width, width), 1e-30f);
  }
  // Adding 1.5 * 2^23 rounds and leaves the whole number in the lowest bits.
  const auto most = static_cast<float>(levels);
  const auto shifter = hn::Set(d, 12582913.0f + most);
  for (size_t row = 0; row < rows; ++row, x += width, out += width) {
    scales[row] = largest[row] / most;
    const auto inverse = hn::Set(d, most / largest[row]);
    for (size_t i = 0; i < width; i += hn::Lanes(d)) {
      const auto whole = hn::MulAdd(hn::LoadU(d, x + i), inverse, shifter);
      hn::StoreU(hn::TruncateTo(out_tag, hn::BitCast(bits_tag, whole)), out_tag,
                 out + i);
    }
  }
}

void QuantizeRows(const float* x, size_t rows, size_t width, int levels,
                  uint8_t* out, float* scales) {
  WithTag(width, [&](auto d) {
    for (size_t row = 0; row < rows; row += kRowBlock) {
      QuantizeBlock(d, x + row * width, std::min(kRowBlock, rows - row), width,
                    levels, out + row * width, scales + row);
    }
  });
}

}  // namespace qlarank::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace qlarank::kernels {

HWY_EXPORT(ToBf16);
HWY_EXPORT(QuantizeRows);

void ToBf16(const float* x, size_t size, uint16_t* out) {
  HWY_DYNAMIC_DISPATCH(ToBf16)(x, size, out);
}

void QuantizeRows(const float* x, size_t rows, size_t width, int levels,
                  uint8_t* out, float* scales) {
  HWY_DYNAMIC_DISPATCH(QuantizeRows)(x, rows, width, levels, out, scales);
}

}  // namespace qlarank::kernels
#endif  // HWY_ONCE
