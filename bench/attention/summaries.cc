#include "bench/attention/summaries.h"

#include <utility>

#include "absl/memory/memory.h"
#include "model/kernels.h"

namespace qlarank::bench::attention {

static_assert(kSeeds <= kTileRows && kSeeds % 8 == 0);

Summaries::Summaries(const SeedParameters& parameters)
    : parameters_(parameters),
      keys_(kWidth * kSeeds),
      values_(kSeeds * kWidth),
      normed_(kTileRows * kWidth),
      q_(kTileRows * kWidth),
      attended_(kTileRows * kWidth),
      kv_(kSeeds * 2 * kWidth) {}

absl::StatusOr<std::unique_ptr<Summaries>> Summaries::Create(
    const SeedParameters& parameters) {
  auto summaries = absl::WrapUnique(new Summaries(parameters));
  absl::Status status;
  const auto pack = [&](const char* name, const std::vector<float>& weights,
                        Matrix::Part part,
                        std::unique_ptr<const Matrix>& packed) {
    auto matrix = Matrix::Create(name, weights, kWidth, {part});
    status.Update(matrix.status());
    if (matrix.ok()) packed = *std::move(matrix);
  };
  using enum kernels::Ending;
  pack("w_q", parameters.w_q, {kWidth, kStore}, summaries->w_q_);
  pack("w_kv", parameters.w_kv, {2 * kWidth, kStore}, summaries->w_kv_);
  pack("w_o", parameters.w_o, {kWidth, kAdd}, summaries->w_o_);
  if (!status.ok()) return status;
  return summaries;
}

void Summaries::Make(const float* x) {
  kernels::RmsNorm(x, parameters_.norm_summary.data(), kSeeds, kWidth,
                   normed_.data());
  w_kv_->Run(kSeeds, normed_.data(), kv_.data(), scratch_);
  for (size_t seed = 0; seed < kSeeds; ++seed) {
    const float* kv = kv_.data() + seed * 2 * kWidth;
    for (size_t i = 0; i < kWidth; ++i) {
      const size_t head = i / kHeadWidth;
      keys_[i * kSeeds + seed] = kv[i];
      values_[(head * kSeeds + seed) * kHeadWidth + i % kHeadWidth] =
          kv[kWidth + i];
    }
  }
}

void Summaries::Attend(size_t rows, float* x) {
  kernels::RmsNorm(x, parameters_.norm_attn.data(), rows, kWidth,
                   normed_.data());
  w_q_->Run(rows, normed_.data(), q_.data(), scratch_);
  kernels::AttendSummaries(q_.data(), {keys_.data(), values_.data(), kSeeds},
                           kHeadShape, rows, attended_.data());
  w_o_->Run(rows, attended_.data(), x, scratch_);
}

}  // namespace qlarank::bench::attention
