#include "model/layer.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <utility>

#include "absl/memory/memory.h"
#include "absl/strings/str_cat.h"

namespace qlarank {
namespace {

constexpr size_t kRows = kTileSizes.back();

}  // namespace

TileBuffers::TileBuffers(size_t d_model, size_t ffn_width)
    : x(kRows * d_model),
      normed(kRows * d_model),
      mixed(kRows * d_model),
      qkvg(kRows * 4 * d_model),
      attended(kRows * d_model),
      pr(kRows * 2 * ffn_width),
      gated(kRows * ffn_width) {}

Layer::Layer(const Bundle& bundle, size_t index)
    : index_(index),
      d_model_(bundle.spec().d_model()),
      ffn_width_(bundle.spec().ffn_width()),
      conv_width_(bundle.spec().conv_width()),
      silu_phi2_(bundle.spec().phi2() == model::v1::PHI2_SILU),
      heads_{bundle.spec().num_heads(),
             bundle.spec().d_model() / bundle.spec().num_heads()},
      layout_(bundle.spec()) {}

absl::StatusOr<std::unique_ptr<const Layer>> Layer::Create(const Bundle& bundle,
                                                           size_t index,
                                                           Precision scoring) {
  auto layer = absl::WrapUnique(new Layer(bundle, index));
  const auto tensor = [&](absl::string_view name) {
    return bundle.tensor(absl::StrCat("layers.", index, ".", name));
  };
  layer->norm_attn_ = tensor("norm_attn");
  layer->norm_head_ = tensor("norm_head");
  layer->norm_ffn_ = tensor("norm_ffn");
  layer->alpha_ = tensor("alpha");
  layer->beta_ = tensor("beta");
  if (bundle.HasTensor(absl::StrCat("layers.", index, ".conv"))) {
    layer->conv_ = tensor("conv");
  }
  for (float rate : tensor("decay_rate")) {
    layer->decay_.push_back(std::exp(-rate));
  }

  const size_t d = layer->d_model_;
  // Rows k and v alone, for events that are only folded.
  auto w_kv = PackedMatrix::Create(absl::StrCat("layers.", index, ".w_kv"),
                                   tensor("w_qkvg").subspan(d * d, 2 * d * d),
                                   2 * d, d, PackedMatrix::Output::kOverwrite);
  if (!w_kv.ok()) return w_kv.status();
  layer->w_kv_ = w_kv->get();
  layer->packed_.push_back(*std::move(w_kv));
  auto exact = layer->Pack(bundle, Precision::kF32);
  if (!exact.ok()) return exact.status();
  layer->exact_ = layer->scoring_ = *exact;
  if (scoring != Precision::kF32) {
    auto lower = layer->Pack(bundle, scoring);
    if (!lower.ok()) return lower.status();
    layer->scoring_ = *lower;
  }
  return layer;
}

absl::StatusOr<Layer::Products> Layer::Pack(const Bundle& bundle,
                                            Precision precision) {
  absl::Status status;
  const auto pack = [&](absl::string_view name, size_t out, size_t in,
                        PackedMatrix::Output output) -> const PackedMatrix* {
    const std::string full_name = absl::StrCat("layers.", index_, ".", name);
    auto matrix = PackedMatrix::Create(full_name, bundle.tensor(full_name), out,
                                       in, output, precision);
    status.Update(matrix.status());
    if (!matrix.ok()) return nullptr;
    packed_.push_back(*std::move(matrix));
    return packed_.back().get();
  };
  using enum PackedMatrix::Output;
  const size_t d = d_model_, f = ffn_width_;
  const Products products{
      pack("w_qkvg", 4 * d, d, kOverwrite), pack("w_o", d, d, kAccumulate),
      pack("w_12", 2 * f, d, kOverwrite), pack("w_3", d, f, kAccumulate)};
  if (!status.ok()) return status;
  return products;
}

std::vector<const PackedMatrix*> Layer::matrices() const {
  std::vector<const PackedMatrix*> matrices;
  for (const auto& matrix : packed_) matrices.push_back(matrix.get());
  return matrices;
}

// mixed = conv_0 n + sum conv_i n_{-i}; n joins the window.
void Layer::MixEvent(size_t row, float* state, TileBuffers& buffers) const {
  const float* n = buffers.normed.data() + row * d_model_;
  float* mixed = buffers.mixed.data() + row * d_model_;
  float* window = state + layout_.window(index_);
  std::fill_n(mixed, d_model_, 0.0f);
  kernels::MultiplyAdd(conv_.data(), n, d_model_, mixed);
  for (size_t i = 1; i < conv_width_; ++i) {
    kernels::MultiplyAdd(conv_.data() + i * d_model_,
                         window + (i - 1) * d_model_, d_model_, mixed);
  }
  std::memmove(window + d_model_, window,
               (layout_.window_floats() - d_model_) * sizeof(float));
  std::memcpy(window, n, d_model_ * sizeof(float));
}

const float* Layer::NormAndMix(size_t rows, float* const* states,
                               TileBuffers& buffers) const {
  kernels::RmsNorm(buffers.x.data(), norm_attn_.data(), rows, d_model_,
                   buffers.normed.data());
  if (!has_window()) return buffers.normed.data();
  for (size_t row = 0; row < rows; ++row) MixEvent(row, states[row], buffers);
  return buffers.mixed.data();
}

void Layer::ForwardEvents(size_t rows, float* const* states,
                          TileBuffers& buffers, GemmScratch& gemm) const {
  const float* mixed = NormAndMix(rows, states, buffers);
  gemm.Run(*exact_.w_qkvg, rows, mixed, buffers.qkvg.data());
  const kernels::EventLayer parameters{alpha_.data(), beta_.data(),
                                       decay_.data(), norm_head_.data(),
                                       silu_phi2_};
  for (size_t row = 0; row < rows; ++row) {
    kernels::AttendAndFold(buffers.qkvg.data() + row * 4 * d_model_, parameters,
                           heads_, states[row] + layout_.z(index_),
                           states[row] + layout_.count(index_),
                           buffers.attended.data() + row * d_model_);
  }
  gemm.Run(*exact_.w_o, rows, buffers.attended.data(), buffers.x.data());
  FeedForward(exact_, rows, buffers.x.data(), buffers, gemm);
}

void Layer::FoldEvents(size_t rows, float* const* states, TileBuffers& buffers,
                       GemmScratch& gemm) const {
  const float* mixed = NormAndMix(rows, states, buffers);
  gemm.Run(*w_kv_, rows, mixed, buffers.qkvg.data());
  for (size_t row = 0; row < rows; ++row) {
    kernels::FoldOnly(buffers.qkvg.data() + row * 2 * d_model_, decay_.data(),
                      heads_, states[row] + layout_.z(index_),
                      states[row] + layout_.count(index_));
  }
}

LayerReadout Layer::MakeReadout(const float* state) const {
  LayerReadout readout;
  readout.matrix.resize(layout_.z_floats());
  const size_t head_floats = heads_.head_width * heads_.head_width;
  const float* count = state + layout_.count(index_);
  for (size_t head = 0; head < heads_.num_heads; ++head) {
    kernels::Readout(state + layout_.z(index_) + head * head_floats,
                     alpha_[head] / std::max(count[head], 1.0f), silu_phi2_,
                     head_floats, readout.matrix.data() + head * head_floats);
  }
  if (has_window()) {
    readout.conv_shift.resize(d_model_);
    const float* window = state + layout_.window(index_);
    for (size_t i = 1; i < conv_width_; ++i) {
      kernels::MultiplyAdd(conv_.data() + i * d_model_,
                           window + (i - 1) * d_model_, d_model_,
                           readout.conv_shift.data());
    }
  }
  return readout;
}

void Layer::ForwardTile(const Products& products, size_t rows,
                        const LayerReadout& readout, float* x,
                        TileBuffers& buffers, GemmScratch& gemm) const {
  if (has_window()) {
    kernels::RmsNormScaleShift(x, norm_attn_.data(), conv_.data(),
                               readout.conv_shift.data(), rows, d_model_,
                               buffers.mixed.data());
  } else {
    kernels::RmsNorm(x, norm_attn_.data(), rows, d_model_,
                     buffers.mixed.data());
  }
  gemm.Run(*products.w_qkvg, rows, buffers.mixed.data(), buffers.qkvg.data());
  kernels::AttendShared(buffers.qkvg.data(), readout.matrix.data(),
                        beta_.data(), norm_head_.data(), heads_, rows,
                        buffers.attended.data());
  gemm.Run(*products.w_o, rows, buffers.attended.data(), x);
  FeedForward(products, rows, x, buffers, gemm);
}

void Layer::FeedForward(const Products& products, size_t rows, float* x,
                        TileBuffers& buffers, GemmScratch& gemm) const {
  kernels::RmsNorm(x, norm_ffn_.data(), rows, d_model_, buffers.normed.data());
  gemm.Run(*products.w_12, rows, buffers.normed.data(), buffers.pr.data());
  kernels::GatedSilu(buffers.pr.data(), rows, ffn_width_, buffers.gated.data());
  gemm.Run(*products.w_3, rows, buffers.gated.data(), x);
}

}  // namespace qlarank
