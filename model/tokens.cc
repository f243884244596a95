#include "model/tokens.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "model/buckets.h"
#include "model/bundle_schema.h"
#include "model/kernels.h"

namespace qlarank {

AlignedVector<float> Transpose(absl::Span<const float> matrix, size_t rows) {
  const size_t columns = matrix.size() / rows;
  AlignedVector<float> transposed(matrix.size());
  for (size_t row = 0; row < rows; ++row) {
    for (size_t column = 0; column < columns; ++column) {
      transposed[column * rows + row] = matrix[row * columns + column];
    }
  }
  return transposed;
}

TokenBuilder::TokenBuilder(const Bundle& bundle, const ItemEmbedding& items)
    : d_model_(bundle.spec().d_model()),
      item_scale_(std::sqrt(static_cast<float>(d_model_))),
      num_actions_(bundle.spec().actions_size()),
      items_(items),
      actions_(bundle.tensor("action_embedding")),
      gaps_(bundle.tensor("gap_embedding")),
      nexts_(bundle.tensor("next_embedding")),
      counts_(bundle.tensor("count_embedding")) {
  if (bundle.HasTensor("event_projection")) {
    event_projection_ = Transpose(bundle.tensor("event_projection"), d_model_);
  }
  for (const auto& feature : bundle.spec().context_features()) {
    contexts_.push_back(
        bundle.tensor(absl::StrCat("context.", feature.name())));
  }
}

void TokenBuilder::EventToken(const EventInContext& in, float* x) const {
  const ModelEvent& event = *in.event;
  const float* rows[5] = {items_.row(event.item_row)};
  const float scales[5] = {item_scale_, 1, 1, 1, 1};
  size_t num_rows = 1;
  const auto add_row = [&](absl::Span<const float> table, size_t row) {
    rows[num_rows++] = table.data() + row * d_model_;
  };
  if (event.action != Bundle::kUnknownAction) add_row(actions_, event.action);
  add_row(gaps_, in.has_previous ? GapBucket(in.previous_time_us, event.time_us)
                                 : kNoGapBucket);
  add_row(nexts_, GapBucket(event.time_us, in.next_time_us));
  add_row(counts_, CountBucket(in.position));
  kernels::SumOfRows(rows, scales, num_rows, d_model_, x);
  for (size_t i = 0; i * d_model_ < event_projection_.size(); ++i) {
    kernels::ScaleAdd(event.features[i], &event_projection_[i * d_model_],
                      d_model_, x);
  }
}

void TokenBuilder::CandidateShared(uint32_t gap_bucket,
                                   absl::Span<const float> user_projection,
                                   absl::Span<const uint32_t> context_rows,
                                   absl::Span<float> shared) const {
  const float* candidate_action = actions_.data() + num_actions_ * d_model_;
  std::copy_n(candidate_action, d_model_, shared.data());
  kernels::ScaleAdd(1.0f, gaps_.data() + gap_bucket * d_model_, d_model_,
                    shared.data());
  kernels::ScaleAdd(1.0f, user_projection.data(), d_model_, shared.data());
  for (size_t i = 0; i < contexts_.size(); ++i) {
    const size_t row = context_rows.empty() ? 0 : context_rows[i];
    kernels::ScaleAdd(1.0f, contexts_[i].data() + row * d_model_, d_model_,
                      shared.data());
  }
}

}  // namespace qlarank
