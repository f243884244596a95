// Constants, logarithms, and what decays make of counts, in double:
// docs/model.md sections 10 and 11.

#include <cstdint>
#include <iterator>

#include "model/kernels.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "model/decay_kernels.cc"
#include "hwy/foreach_target.h"
// Must follow foreach_target.h.
#include "hwy/highway.h"
#include "model/kernels-inl.h"

HWY_BEFORE_NAMESPACE();
namespace qlarank::kernels::HWY_NAMESPACE {

using Doubles = hn::CappedTag<double, kHeadPadding>;

// exp(x) in parts: power = 2^n, n whole, and fraction = exp(x) / 2^n - 1, which
// keeps its digits however small. |x| <= 64.
template <class D, class V = hn::Vec<D>>
HWY_INLINE void ExpInParts(D d, V x, V& power, V& fraction) {
  const hn::RebindToSigned<D> di;
  // exp(x) = 2^(n + f), |f| <= 1/2. Adding 1.5 * 2^52 rounds to n and leaves it
  // in the lowest bits.
  const auto shifter = hn::Set(d, 6755399441055744.0);
  const auto log2_e = hn::Set(d, 1.4426950408889634);
  const auto shifted = Fma(x, log2_e, shifter);
  const auto f = Fma(x, log2_e, hn::Sub(shifter, shifted));
  // (2^f - 1) / f = sum of ln(2)^(i + 1) f^i / (i + 1)!
  constexpr double kSeries[] = {
      1.3691488853904128e-12, 2.5678435993488206e-11, 4.4455382718708116e-10,
      7.054911620801123e-09,  1.01780860092397e-07,   1.321548679014431e-06,
      1.5252733804059841e-05, 0.0001540353039338161,  0.0013333558146428443,
      0.009618129107628477,   0.05550410866482158,    0.24022650695910072,
      0.6931471805599453};
  auto series = hn::Set(d, kSeries[0]);
  for (size_t i = 1; i < std::size(kSeries); ++i) {
    series = Fma(series, f, hn::Set(d, kSeries[i]));
  }
  fraction = hn::Mul(series, f);
  power = hn::BitCast(d, hn::Add(hn::BitCast(di, hn::Set(d, 1.0)),
                                 hn::ShiftLeft<52>(hn::BitCast(di, shifted))));
}

// 1 - exp(-x) for x >= 0.
template <class D, class V = hn::Vec<D>>
HWY_INLINE V OneMinusExpOfNegative(D d, V x) {
  // Beyond 64 the result is 1.
  V power, fraction;
  ExpInParts(d, hn::Neg(hn::Min(x, hn::Set(d, 64.0))), power, fraction);
  return Fma(hn::Neg(power), fraction, hn::Sub(hn::Set(d, 1.0), power));
}

template <class D, class V = hn::Vec<D>>
HWY_INLINE V ExpOf(D d, V x) {
  V power, fraction;
  ExpInParts(d, x, power, fraction);
  return Fma(power, fraction, power);
}

double Exp(double x) {
  const Doubles d;
  return hn::GetLane(ExpOf(d, hn::Set(d, x)));
}

void ExpAll(const double* x, size_t size, double* out) {
  const Doubles d;
  for (size_t i = 0; i < size; i += hn::Lanes(d)) {
    hn::StoreU(ExpOf(d, hn::LoadU(d, x + i)), d, out + i);
  }
}

// ln x for x > 0: x = m 2^e with m in (sqrt(1/2), sqrt(2)], and
// ln m = 2 artanh(s) with s = (m - 1) / (m + 1), |s| < 0.172.
template <class D, class V = hn::Vec<D>>
HWY_INLINE V LogOf(D d, V x) {
  const hn::RebindToUnsigned<D> du;
  const auto one = hn::Set(d, 1.0);
  const auto bits = hn::BitCast(du, x);
  // The exponent's bits in the lowest digits of 2^52 are a whole number there.
  const auto exponent = hn::Or(hn::ShiftRight<52>(bits),
                               hn::BitCast(du, hn::Set(d, 0x1p52)));
  auto e = hn::Sub(hn::BitCast(d, exponent), hn::Set(d, 0x1p52 + 1023));
  const auto fraction =
      hn::And(bits, hn::Set(du, uint64_t{0x000FFFFFFFFFFFFF}));
  auto m = hn::BitCast(d, hn::Or(fraction, hn::BitCast(du, one)));
  const auto large = hn::Gt(m, hn::Set(d, 1.4142135623730951));
  m = hn::IfThenElse(large, hn::Mul(m, hn::Set(d, 0.5)), m);
  e = hn::IfThenElse(large, hn::Add(e, one), e);
  const auto s = hn::Div(hn::Sub(m, one), hn::Add(m, one));
  const auto z = hn::Mul(s, s);
  // artanh(s) / s = sum of z^i / (2 i + 1); nothing is fused.
  auto series = hn::Set(d, 1.0 / 19);
  for (int i = 8; i >= 0; --i) {
    series = hn::Add(hn::Mul(series, z), hn::Set(d, 1.0 / (2 * i + 1)));
  }
  const auto ln_m = hn::Mul(hn::Mul(hn::Set(d, 2.0), s), series);
  return hn::Add(hn::Mul(e, hn::Set(d, 0.6931471805599453)), ln_m);
}

double Log(double x) {
  const Doubles d;
  return hn::GetLane(LogOf(d, hn::Set(d, x)));
}

void LogAll(const double* x, size_t size, double* out) {
  const Doubles d;
  for (size_t i = 0; i < size; i += hn::Lanes(d)) {
    hn::StoreU(LogOf(d, hn::LoadU(d, x + i)), d, out + i);
  }
}

void Losses(const double* rates, size_t size, double* losses) {
  const Doubles d;
  for (size_t i = 0; i < size; i += hn::Lanes(d)) {
    hn::StoreU(OneMinusExpOfNegative(d, hn::LoadU(d, rates + i)), d,
               losses + i);
  }
}

void ReadoutScales(const HeadDecay& decay, size_t num_heads, uint64_t n,
                   float* scales) {
  const Doubles d;
  const hn::Rebind<float, Doubles> df;
  const auto events = hn::Set(d, static_cast<double>(n));
  for (size_t i = 0; i < num_heads; i += hn::Lanes(d)) {
    const auto rate = hn::LoadU(d, decay.rate + i);
    const auto lost = OneMinusExpOfNegative(d, hn::Mul(rate, events));
    const auto decayed = hn::Mul(lost, hn::LoadU(d, decay.inverse_loss + i));
    const auto count =
        hn::IfThenElse(hn::Eq(rate, hn::Zero(d)), events, decayed);
    const auto divisor = hn::Max(count, hn::Set(d, 1.0));
    const auto scale = hn::Div(hn::LoadU(d, decay.alpha + i), divisor);
    hn::StoreU(hn::DemoteTo(df, scale), df, scales + i);
  }
}

}  // namespace qlarank::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace qlarank::kernels {

HWY_EXPORT(Exp);
HWY_EXPORT(ExpAll);
HWY_EXPORT(Log);
HWY_EXPORT(LogAll);
HWY_EXPORT(Losses);
HWY_EXPORT(ReadoutScales);

double Exp(double x) { return HWY_DYNAMIC_DISPATCH(Exp)(x); }

void ExpAll(const double* x, size_t size, double* out) {
  HWY_DYNAMIC_DISPATCH(ExpAll)(x, size, out);
}

double Log(double x) { return HWY_DYNAMIC_DISPATCH(Log)(x); }

void LogAll(const double* x, size_t size, double* out) {
  HWY_DYNAMIC_DISPATCH(LogAll)(x, size, out);
}

void Losses(const double* rates, size_t size, double* losses) {
  HWY_DYNAMIC_DISPATCH(Losses)(rates, size, losses);
}

void ReadoutScales(const HeadDecay& decay, size_t num_heads, uint64_t n,
                   float* scales) {
  HWY_DYNAMIC_DISPATCH(ReadoutScales)(decay, num_heads, n, scales);
}

}  // namespace qlarank::kernels
#endif  // HWY_ONCE
