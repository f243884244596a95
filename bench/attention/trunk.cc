#include "bench/attention/trunk.h"

#include <algorithm>
#include <string>
#include <utility>

#include "absl/memory/memory.h"
#include "absl/strings/str_cat.h"
#include "model/kernels.h"

namespace qlarank::bench::attention {

Trunk::Trunk(const MechanismKind& kind, uint32_t seed)
    : kind_(kind),
      parameters_(RandomParameters(kind.extra_outputs, seed)),
      convolution_(parameters_),
      mechanism_(kind.make(parameters_)),
      x_(kTileRows * kWidth),
      normed_(kTileRows * kWidth),
      mixed_(kTileRows * kWidth),
      attended_(kTileRows * kWidth),
      projected_(kTileRows * (4 * kWidth + kind.extra_outputs)),
      gated_(kTileRows * kFfnWidth) {}

absl::StatusOr<std::unique_ptr<Trunk>> Trunk::Create(const MechanismKind& kind,
                                                     uint32_t seed) {
  auto trunk = absl::WrapUnique(new Trunk(kind, seed));
  if (absl::Status status = trunk->PackWeights(); !status.ok()) return status;
  return trunk;
}

absl::Status Trunk::PackWeights() {
  absl::Status status;
  const auto pack = [&](absl::string_view name,
                        const std::vector<float>& weights, size_t in,
                        std::vector<Matrix::Part> parts) {
    auto matrix =
        Matrix::Create(absl::StrCat("layer ", layers_.size(), " ", name),
                       weights, in, std::move(parts));
    status.Update(matrix.status());
    return matrix.ok() ? *std::move(matrix) : nullptr;
  };
  using enum kernels::Ending;
  std::vector<Matrix::Part> projected = {{4 * kWidth, kStore}};
  if (kind_.extra_outputs > 0) {
    projected.push_back({kind_.extra_outputs, kStore});
  }
  for (const LayerParameters& layer : parameters_.layers) {
    layers_.push_back({pack("projection", layer.projection, kWidth, projected),
                       pack("w_o", layer.w_o, kWidth, {{kWidth, kAdd}}),
                       pack("w_12", layer.w_12, kWidth, {{kFfnWidth, kGate}}),
                       pack("w_3", layer.w_3, kFfnWidth, {{kWidth, kAdd}})});
  }
  if (kind_.has_seeds) {
    auto summaries = Summaries::Create(parameters_.seeds);
    status.Update(summaries.status());
    if (summaries.ok()) summaries_ = *std::move(summaries);
  }
  return status;
}

void Trunk::Reset() {
  convolution_.Reset();
  mechanism_ = kind_.make(parameters_);
}

Rows Trunk::ProjectEvents(size_t layer, size_t rows) {
  kernels::RmsNorm(x_.data(), parameters_.layers[layer].norm_attn.data(), rows,
                   kWidth, normed_.data());
  convolution_.MixEvents(layer, rows, normed_.data(), mixed_.data());
  layers_[layer].projection->Run(rows, mixed_.data(), projected_.data(),
                                 scratch_);
  return {projected_.data(), 4 * kWidth + kind_.extra_outputs, rows};
}

Rows Trunk::ProjectCandidates(size_t layer, size_t rows) {
  convolution_.NormAndMixCandidates(layer, rows, x_.data(), mixed_.data());
  const Matrix& projection = *layers_[layer].projection;
  if (kind_.candidates_have_extras) {
    projection.Run(rows, mixed_.data(), projected_.data(), scratch_);
    return {projected_.data(), 4 * kWidth + kind_.extra_outputs, rows};
  }
  projection.RunParts(0, 1, rows, mixed_.data(), projected_.data());
  return {projected_.data(), 4 * kWidth, rows};
}

template <typename Attend>
void Trunk::Forward(const float* tokens, size_t rows,
                    Rows (Trunk::*project)(size_t, size_t), Attend attend) {
  std::copy_n(tokens, rows * kWidth, x_.data());
  for (size_t l = 0; l < kLayers; ++l) {
    attend(l, (this->*project)(l, rows));
    layers_[l].w_o->Run(rows, attended_.data(), x_.data(), scratch_);
    kernels::RmsNorm(x_.data(), parameters_.layers[l].norm_ffn.data(), rows,
                     kWidth, normed_.data());
    layers_[l].w_12->Run(rows, normed_.data(), gated_.data(), scratch_);
    layers_[l].w_3->Run(rows, gated_.data(), x_.data(), scratch_);
  }
}

// Seeds pass the layers as candidates do, all of them in one tile.
void Trunk::MakeSummaries() {
  Forward(parameters_.seeds.tokens.data(), kSeeds, &Trunk::ProjectCandidates,
          [&](size_t layer, const Rows& rows) {
            mechanism_->AttendSeeds(layer, rows, attended_.data());
          });
  summaries_->Make(x_.data());
}

void Trunk::Score(size_t rows, float* scores) {
  kernels::RmsNorm(x_.data(), parameters_.norm_score.data(), rows, kWidth,
                   normed_.data());
  for (size_t row = 0; row < rows; ++row) {
    scores[row] = kernels::Dot(normed_.data() + row * kWidth,
                               parameters_.w_score.data(), kWidth);
  }
}

void Trunk::Append(absl::Span<const float> tokens,
                   absl::Span<const EventTime> times, float* scores) {
  for (size_t first = 0; first < times.size(); first += kTileRows) {
    const absl::Span<const EventTime> tile = times.subspan(first, kTileRows);
    Forward(tokens.data() + first * kWidth, tile.size(), &Trunk::ProjectEvents,
            [&](size_t layer, const Rows& rows) {
              mechanism_->Append(layer, rows, tile, attended_.data());
            });
    if (scores != nullptr) Score(tile.size(), scores + first);
  }
}

void Trunk::Rank(absl::Span<const float> tokens, int64_t request_time_us,
                 absl::Span<float> scores) {
  convolution_.BeginRanking();
  mechanism_->BeginRanking(request_time_us);
  if (summaries_ != nullptr) {
    MakeSummaries();
    convolution_.BeginRankingWithoutHistory();
  }
  for (size_t first = 0; first < scores.size(); first += kTileRows) {
    const size_t rows = std::min(kTileRows, scores.size() - first);
    Forward(tokens.data() + first * kWidth, rows, &Trunk::ProjectCandidates,
            [&](size_t layer, const Rows& projected) {
              mechanism_->Attend(layer, projected, attended_.data());
            });
    if (summaries_ != nullptr) summaries_->Attend(rows, x_.data());
    Score(rows, scores.data() + first);
  }
}

}  // namespace qlarank::bench::attention
