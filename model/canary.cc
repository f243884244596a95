#include "model/canary.h"

#include <vector>

#include "absl/strings/str_cat.h"
#include "hwy/highway.h"
#include "model/aligned_vector.h"
#include "model/head_decays.h"
#include "model/kernels.h"
#include "model/product.h"
#include "model/sha256.h"

namespace qlarank {
namespace {

using kernels::Ending;

constexpr char kDigest[] =
    "4f93f3b8f6bc4bc1c3f9cf7f2c5b535fb314a2f5b66939955ff24309346f28d8";

// Odd multiples of 8, so that nothing is a whole number of vectors.
constexpr size_t kHeads = 3, kHeadWidth = 24, kWidth = kHeads * kHeadWidth;
constexpr size_t kCanaryRows = 7;
constexpr kernels::HeadShape kShape{kHeads, kHeadWidth};

// Numbers in [-1, 1), whose bits are a function of their place.
class Numbers {
 public:
  AlignedVector<float> Next(size_t size) {
    AlignedVector<float> numbers(size);
    for (float& number : numbers) {
      seed_ = seed_ * 6364136223846793005 + 1442695040888963407;
      number = static_cast<float>(seed_ >> 40) * 0x1p-23f - 1;
    }
    return numbers;
  }

 private:
  uint64_t seed_ = 20261130;
};

// A matrix, packed.
struct Weights {
  Weights(Numbers& numbers, size_t of_columns, size_t of_in, Ending to)
      : columns(of_columns),
        in(of_in),
        ending(to),
        panels(kernels::PackPanels(
            numbers.Next(columns * in * (to == Ending::kGate ? 2 : 1)), in,
            to)) {}

  void Run(const AlignedVector<float>& x, AlignedVector<float>& y) const {
    kernels::MultiplyWeights({panels.data(), in, columns, ending}, x.data(),
                             kCanaryRows, y.data(), columns);
  }

  size_t columns, in;
  Ending ending;
  AlignedVector<float> panels;
};

}  // namespace

std::string ArithmeticDigest() {
  Numbers numbers;
  const Weights w_qkvg(numbers, 4 * kWidth, kWidth, Ending::kSilu);
  const Weights w_o(numbers, kWidth, kWidth, Ending::kAdd);
  const Weights w_12(numbers, 2 * kWidth, kWidth, Ending::kGate);
  const Weights w_3(numbers, kWidth, 2 * kWidth, Ending::kStore);
  const auto norm = numbers.Next(kWidth), beta = numbers.Next(kHeads);
  const HeadDecays decays({1e-5f, 0.0f, 0.7f}, {1.0f, 0.5f, 2.0f});
  AlignedVector<float> x = numbers.Next(kCanaryRows * kWidth);
  AlignedVector<float> normed(kCanaryRows * kWidth),
      qkvg(kCanaryRows * 4 * kWidth), attended(kCanaryRows * kWidth),
      gated(kCanaryRows * 2 * kWidth), z(2 * kWidth * kHeadWidth),
      scales(decays.padded_heads());
  const auto conv = numbers.Next(3 * kWidth);
  AlignedVector<float> window(2 * kWidth);
  float sum = 0;
  for (uint64_t step = 0; step < 10; ++step) {
    kernels::RmsNorm(x.data(), norm.data(), kCanaryRows, kWidth, normed.data());
    w_qkvg.Run(normed, qkvg);
    for (size_t row = 0; row < kCanaryRows; ++row) {
      kernels::ReadoutScales(decays.view(), kHeads, step * 1000 + row,
                             scales.data());
      const bool silu = row % 2 == 1;
      kernels::AttendAndFold(
          qkvg.data() + row * 4 * kWidth,
          {beta.data(), decays.loss(), norm.data(), silu}, scales.data(),
          kShape, z.data() + (silu ? z.size() / 2 : 0),
          z.data() + (silu ? z.size() / 2 : 0), attended.data() + row * kWidth);
    }
    w_o.Run(attended, x);
    kernels::RmsNorm(x.data(), norm.data(), kCanaryRows, kWidth, normed.data());
    w_12.Run(normed, gated);
    w_3.Run(gated, attended);
    kernels::AttendShared(qkvg.data(), z.data(), beta.data(), norm.data(),
                          kShape, kCanaryRows, normed.data());
    kernels::ScaleAdd(0.25f, normed.data(), kWidth, x.data());
    kernels::MixWindow(conv.data(), x.data(), window.data(), 3, kWidth,
                       window.data(), normed.data());
    const float* const rows[] = {x.data() + kWidth, normed.data()};
    const float row_scales[] = {0.75f, 0.125f};
    kernels::SumOfRows(rows, row_scales, 2, kWidth, x.data() + kWidth);
    sum += kernels::HeadLogit(attended.data(), norm.data(), x.data(), kWidth);
  }
  x.push_back(sum);
  x.insert(x.end(), z.begin(), z.end());
  return Sha256Hex(
      {reinterpret_cast<const char*>(x.data()), x.size() * sizeof(float)});
}

absl::Status CheckArithmetic() {
  const std::string digest = ArithmeticDigest();
  if (digest == kDigest) return absl::OkStatus();
  return absl::InternalError(absl::StrCat(
      "this processor or build (", kernels::TargetName(),
      " kernels) computes other bits than every other one: ", digest,
      ", expected ", kDigest,
      "; its states would not be those of other "
      "machines"));
}

absl::Status CheckProcessor() {
  if ((hwy::SupportedTargets() & (HWY_AVX2 | HWY_AVX3 | HWY_NEON)) == 0) {
    return absl::FailedPreconditionError(
        "this processor lacks what qlarank needs: AVX2 and FMA (x86-64-v3), or "
        "NEON and AES (ARM64)");
  }
  return absl::OkStatus();
}

}  // namespace qlarank
