#include "model/layer.h"

#include <algorithm>
#include <utility>

#include "absl/memory/memory.h"
#include "absl/strings/str_cat.h"

namespace qlarank {
namespace {

constexpr size_t kRows = Matrix::kMostRows;

}  // namespace

TileBuffers::TileBuffers(size_t d_model, size_t num_heads, size_t ffn_width)
    : x(kRows * d_model),
      normed(kRows * d_model),
      mixed(kRows * d_model),
      qkvg(kRows * 4 * d_model),
      attended(kRows * d_model),
      gated(kRows * ffn_width),
      scales(num_heads + kernels::kHeadPadding) {}

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
  layer->beta_ = tensor("beta");
  if (bundle.HasTensor(absl::StrCat("layers.", index, ".conv"))) {
    layer->conv_ = tensor("conv");
  }
  layer->token_scale_.assign(layer->norm_attn_.begin(),
                             layer->norm_attn_.end());
  for (size_t i = 0; layer->has_window() && i < layer->d_model_; ++i) {
    layer->token_scale_[i] *= layer->conv_[i];
  }
  layer->decays_.emplace(tensor("decay_rate"), tensor("alpha"));
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
  const auto pack = [&](absl::string_view name, size_t in,
                        std::vector<Matrix::Part> parts) -> const Matrix* {
    const std::string full_name = absl::StrCat("layers.", index_, ".", name);
    auto matrix = Matrix::Create(full_name, bundle.tensor(full_name), in,
                                 std::move(parts), precision);
    status.Update(matrix.status());
    if (!matrix.ok()) return nullptr;
    packed_.push_back(*std::move(matrix));
    return packed_.back().get();
  };
  using enum kernels::Ending;
  const size_t d = d_model_, f = ffn_width_;
  const Products products{
      pack("w_qkvg", d, {{d, kSilu}, {d, kSilu}, {d, kStore}, {d, kSilu}}),
      pack("w_o", d, {{d, kAdd}}), pack("w_12", d, {{f, kGate}}),
      pack("w_3", f, {{d, kAdd}})};
  if (!status.ok()) return status;
  return products;
}

std::vector<const Matrix*> Layer::matrices() const {
  std::vector<const Matrix*> matrices;
  for (const auto& matrix : packed_) matrices.push_back(matrix.get());
  return matrices;
}

const float* Layer::NormAndMix(size_t rows, const FoldRow* fold_rows,
                               TileBuffers& buffers) const {
  kernels::RmsNorm(buffers.x.data(), norm_attn_.data(), rows, d_model_,
                   buffers.normed.data());
  if (!has_window()) return buffers.normed.data();
  const size_t window = layout_.window(index_);
  for (size_t row = 0; row < rows; ++row) {
    kernels::MixWindow(conv_.data(), buffers.normed.data() + row * d_model_,
                       fold_rows[row].before + window, conv_width_, d_model_,
                       fold_rows[row].after + window,
                       buffers.mixed.data() + row * d_model_);
  }
  return buffers.mixed.data();
}

void Layer::ForwardEvents(size_t rows, const FoldRow* fold_rows,
                          TileBuffers& buffers, MatrixScratch& scratch) const {
  const float* mixed = NormAndMix(rows, fold_rows, buffers);
  exact_.w_qkvg->Run(rows, mixed, buffers.qkvg.data(), scratch);
  const kernels::EventLayer parameters{beta_.data(), decays_->loss(),
                                       norm_head_.data(), silu_phi2_};
  float* const scales = buffers.scales.data();
  for (size_t row = 0; row < rows; ++row) {
    kernels::ReadoutScales(decays_->view(), heads_.num_heads,
                           fold_rows[row].folded, scales);
    kernels::AttendAndFold(buffers.qkvg.data() + row * 4 * d_model_, parameters,
                           scales, heads_,
                           fold_rows[row].before + layout_.z(index_),
                           fold_rows[row].after + layout_.z(index_),
                           buffers.attended.data() + row * d_model_);
  }
  exact_.w_o->Run(rows, buffers.attended.data(), buffers.x.data(), scratch);
  FeedForward(exact_, rows, buffers.x.data(), buffers, scratch);
}

void Layer::FoldEvents(size_t rows, const FoldRow* fold_rows,
                       TileBuffers& buffers) const {
  const float* mixed = NormAndMix(rows, fold_rows, buffers);
  constexpr size_t kKey = 1;  // of w_qkvg's parts: k and v
  exact_.w_qkvg->RunParts(kKey, 2, rows, mixed, buffers.qkvg.data());
  for (size_t row = 0; row < rows; ++row) {
    kernels::FoldOnly(buffers.qkvg.data() + row * 2 * d_model_, decays_->loss(),
                      heads_, fold_rows[row].before + layout_.z(index_),
                      fold_rows[row].after + layout_.z(index_));
  }
}

LayerReadout Layer::MakeReadout(const float* state, uint64_t folded) const {
  LayerReadout readout;
  readout.matrix.resize(layout_.z_floats());
  const size_t head_floats = heads_.head_width * heads_.head_width;
  std::vector<float> scales(decays_->padded_heads());
  kernels::ReadoutScales(decays_->view(), heads_.num_heads, folded,
                         scales.data());
  for (size_t head = 0; head < heads_.num_heads; ++head) {
    kernels::Readout(state + layout_.z(index_) + head * head_floats,
                     scales[head], silu_phi2_, head_floats,
                     readout.matrix.data() + head * head_floats);
  }
  if (has_window()) {
    readout.conv_shift.resize(d_model_);
    const float* window = state + layout_.window(index_);
    for (size_t i = conv_width_ - 1; i > 0; --i) {
      kernels::MultiplyAdd(conv_.data() + i * d_model_,
                           window + (i - 1) * d_model_, d_model_,
                           readout.conv_shift.data());
    }
  }
  return readout;
}

void Layer::MakeQkvg(const Products& products, size_t rows,
                     const LayerReadout& readout, const float* x,
                     TileBuffers& buffers, MatrixScratch& scratch) const {
  if (has_window()) {
    kernels::RmsNormScaleShift(x, norm_attn_.data(), conv_.data(),
                               readout.conv_shift.data(), rows, d_model_,
                               buffers.mixed.data());
  } else {
    kernels::RmsNorm(x, norm_attn_.data(), rows, d_model_,
                     buffers.mixed.data());
  }
  products.w_qkvg->Run(rows, buffers.mixed.data(), buffers.qkvg.data(),
                       scratch);
}

void Layer::Finish(const Products& products, size_t rows,
                   const LayerReadout& readout, float* x, TileBuffers& buffers,
                   MatrixScratch& scratch) const {
  kernels::AttendShared(buffers.qkvg.data(), readout.matrix.data(),
                        beta_.data(), norm_head_.data(), heads_, rows,
                        buffers.attended.data());
  products.w_o->Run(rows, buffers.attended.data(), x, scratch);
  FeedForward(products, rows, x, buffers, scratch);
}

void Layer::FeedForward(const Products& products, size_t rows, float* x,
                        TileBuffers& buffers, MatrixScratch& scratch) const {
  kernels::RmsNorm(x, norm_ffn_.data(), rows, d_model_, buffers.normed.data());
  products.w_12->Run(rows, buffers.normed.data(), buffers.gated.data(),
                     scratch);
  products.w_3->Run(rows, buffers.gated.data(), x, scratch);
}

}  // namespace qlarank
