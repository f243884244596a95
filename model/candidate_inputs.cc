#include "model/candidate_inputs.h"

#include <algorithm>
#include <cmath>

#include "model/kernels.h"
#include "model/tokens.h"

namespace qlarank {

CandidateInputs::CandidateInputs(const Bundle& bundle, const Layer* first,
                                 const ItemTable& items)
    : d_model_(bundle.spec().d_model()),
      item_scale_(std::sqrt(static_cast<float>(d_model_))),
      first_(first),
      items_(items),
      features_(ColumnsOf(bundle, "candidate_projection")),
      facts_(ColumnsOf(bundle, "memory_projection")) {}

CandidateInputs::Columns CandidateInputs::ColumnsOf(
    const Bundle& bundle, absl::string_view name) const {
  Columns columns;
  if (first_ == nullptr || !bundle.HasTensor(name)) return columns;
  columns.tokens = Transpose(bundle.tensor(name), d_model_);
  columns.count = columns.tokens.size() / d_model_;
  columns.shares.resize(columns.count * 4 * d_model_);
  AlignedVector<float> scaled(columns.tokens.size());
  kernels::ScaleColumns(columns.tokens.data(), first_->token_scale().data(),
                        columns.count, d_model_, scaled.data());
  MatrixScratch nothing({});
  first_->exact_w_qkvg().RunSums(columns.count, scaled.data(),
                                 columns.shares.data(), nothing);
  return columns;
}

void CandidateInputs::Dots(absl::Span<const uint32_t> rows, const float* user,
                      float* dots) const {
  kernels::ItemDots({items_.known(), rows.data(), rows.size()}, user,
                    d_model_, dots);
}

void CandidateInputs::Tokens(const CandidateTile& tile, const float* shared,
                        const float* user, float* x, float* dots) const {
  kernels::CandidateRows({items_.known(), tile.rows.data(), tile.rows.size()},
                         item_scale_, shared, user, d_model_, x, dots);
  if (features_.count == 0 && tile.facts == nullptr) return;
  for (size_t i = 0; i < tile.rows.size(); ++i, x += d_model_) {
    kernels::AddScaledRows(tile.features + i * features_.count,
                           features_.tokens.data(), features_.count, d_model_,
                           x);
    if (tile.facts == nullptr || tile.facts[i] == nullptr) continue;
    kernels::AddScaledRows(tile.facts[i], facts_.tokens.data(), facts_.count,
                           d_model_, x);
  }
}

void CandidateInputs::ShareReadout(const float* shared, LayerReadout& readout,
                                   TileBuffers& buffers,
                                   MatrixScratch& scratch) const {
  float* rows = buffers.mixed.data();
  kernels::ScaleColumns(shared, first_->token_scale().data(), 1, d_model_,
                        rows);
  std::copy(readout.conv_shift.begin(), readout.conv_shift.end(),
            rows + d_model_);
  // Without a window the second stays 0.
  const size_t num_rows = readout.conv_shift.empty() ? 1 : 2;
  readout.shared.resize(2 * 4 * d_model_);
  first_->exact_w_qkvg().RunSums(num_rows, rows, readout.shared.data(),
                                 scratch);
}

void CandidateInputs::MakeQkvg(const CandidateTile& tile,
                          const LayerReadout& readout, const float* x,
                          TileBuffers& buffers, MatrixScratch& scratch) const {
  const kernels::CandidateItems items{items_.known(), tile.rows.data(),
                                      tile.rows.size()};
  float* qkvg = buffers.qkvg.data();
  if (items.known.shares == nullptr) {
    float* scaled = buffers.mixed.data();
    kernels::ScaledItems(items, first_->token_scale().data(), d_model_, scaled);
    first_->scoring_w_qkvg().RunSums(items.count, scaled, qkvg, scratch);
  }
  kernels::CandidateQkvg(
      items,
      {item_scale_, readout.shared.data(), readout.shared.data() + 4 * d_model_,
       features_.shares.data(), features_.count, facts_.shares.data(),
       facts_.count},
      {tile.features, tile.facts}, x, d_model_, qkvg);
}

}  // namespace qlarank
