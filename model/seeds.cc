#include "model/seeds.h"

#include <algorithm>
#include <string>
#include <utility>

#include "absl/memory/memory.h"
#include "absl/strings/str_cat.h"

namespace qlarank {

Seeds::Seeds(const Bundle& bundle)
    : d_model_(bundle.spec().d_model()),
      heads_{bundle.spec().num_heads(),
             bundle.spec().d_model() / bundle.spec().num_heads()},
      norm_summary_(bundle.tensor("norm_summary")) {
  const absl::Span<const float> embedding = bundle.tensor("seed_embedding");
  // The last row of the actions is CANDIDATE.
  const absl::Span<const float> action =
      bundle.tensor("action_embedding").last(d_model_);
  tokens_.assign(embedding.begin(), embedding.end());
  for (size_t i = 0; i < tokens_.size(); ++i) {
    tokens_[i] += action[i % d_model_];
  }
}

absl::StatusOr<std::unique_ptr<const Seeds>> Seeds::Create(const Bundle& bundle,
                                                           Precision scoring) {
  if (bundle.spec().num_seeds() == 0) return nullptr;
  auto seeds = absl::WrapUnique(new Seeds(bundle));
  if (!bundle.spec().summary_attention()) return seeds;
  seeds->norm_attn_ = bundle.tensor("summary.norm_attn");
  absl::Status status;
  const size_t d = seeds->d_model_;
  const auto pack = [&](const std::string& name,
                        std::vector<Matrix::Part> parts, Precision precision,
                        std::unique_ptr<const Matrix>& matrix) {
    auto packed = Matrix::Create(name, bundle.tensor(name), d, std::move(parts),
                                 precision);
    status.Update(packed.status());
    if (packed.ok()) matrix = *std::move(packed);
  };
  using enum kernels::Ending;
  pack("summary.w_q", {{d, kStore}}, scoring, seeds->w_q_);
  pack("summary.w_kv", {{2 * d, kStore}}, Precision::kF32, seeds->w_kv_);
  pack("summary.w_o", {{d, kAdd}}, scoring, seeds->w_o_);
  if (!status.ok()) return status;
  return seeds;
}

std::vector<const Matrix*> Seeds::matrices() const {
  if (!attended()) return {};
  return {w_q_.get(), w_kv_.get(), w_o_.get()};
}

void Seeds::MakeRoom(UserSummary& summary) const {
  summary.values.resize(tokens_.size());
  if (!attended()) return;
  summary.head_keys.resize(tokens_.size());
  summary.head_values.resize(tokens_.size());
}

void Seeds::Conclude(size_t first, size_t rows, TileBuffers& buffers,
                     MatrixScratch& scratch, UserSummary& summary) const {
  float* normed = buffers.normed.data();
  kernels::RmsNorm(buffers.x.data(), norm_summary_.data(), rows, d_model_,
                   normed);
  std::copy_n(normed, rows * d_model_,
              summary.values.data() + first * d_model_);
  if (!attended()) return;
  float* kv = buffers.qkvg.data();  // [rows, 2 d_model]
  w_kv_->Run(rows, normed, kv, scratch);
  const size_t width = heads_.head_width, n = num_seeds();
  for (size_t row = 0; row < rows; ++row, kv += 2 * d_model_) {
    for (size_t i = 0; i < d_model_; ++i) {
      const size_t head = i / width, seed = first + row;
      summary.head_keys[i * n + seed] = kv[i];
      summary.head_values[(head * n + seed) * width + i % width] =
          kv[d_model_ + i];
    }
  }
}

void Seeds::Attend(size_t rows, const UserSummary& summary, float* x,
                   TileBuffers& buffers, MatrixScratch& scratch) const {
  kernels::RmsNorm(x, norm_attn_.data(), rows, d_model_, buffers.normed.data());
  w_q_->Run(rows, buffers.normed.data(), buffers.mixed.data(), scratch);
  kernels::AttendSummaries(
      buffers.mixed.data(),
      {summary.head_keys.data(), summary.head_values.data(), num_seeds()},
      heads_, rows, buffers.attended.data());
  w_o_->Run(rows, buffers.attended.data(), x, scratch);
}

}  // namespace qlarank
