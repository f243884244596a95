// Builds what enters the first layer, of a candidate's token what a request's
// candidates have in common: docs/model.md section 2.
// Immutable, shared by threads.
#ifndef QLARANK_MODEL_TOKENS_H_
#define QLARANK_MODEL_TOKENS_H_

#include <cstdint>
#include <vector>

#include "absl/types/span.h"
#include "model/aligned_vector.h"
#include "model/bundle.h"
#include "model/item_embedding.h"
#include "model/prefetch_row.h"
#include "model/user_state.h"

namespace qlarank {

// An event with its neighbours in time.
struct EventInContext {
  const ModelEvent* event = nullptr;
  uint64_t position = 0;  // 1 for the user's first event
  bool has_previous = false;
  int64_t previous_time_us = 0;
  int64_t next_time_us = 0;  // of the next event, or of the request
};

// [rows, columns] -> [columns, rows]: of W_event and W_cand, so that a feature
// is a row.
AlignedVector<float> Transpose(absl::Span<const float> matrix, size_t rows);

class TokenBuilder {
 public:
  // Both outlive this.
  TokenBuilder(const Bundle& bundle, const ItemEmbedding& items);

  // Writes the event's token, x [d_model].
  void EventToken(const EventInContext& event, float* x) const;

  // Has the item's row fetched that an EventToken will soon be made of.
  void PrefetchItem(uint32_t item_row) const {
    PrefetchRow(items_.row(item_row), d_model_);
  }

  // Writes what every candidate of a request has in common, shared [d_model]:
  // action, gap, user vector, context. gap_bucket is GapBucket of the newest
  // event and the request, user_projection W_user u, context_rows one per
  // context feature or empty.
  void CandidateShared(uint32_t gap_bucket,
                       absl::Span<const float> user_projection,
                       absl::Span<const uint32_t> context_rows,
                       absl::Span<float> shared) const;

 private:
  size_t d_model_;
  float item_scale_;  // sqrt(d)
  size_t num_actions_;
  const ItemEmbedding& items_;
  absl::Span<const float> actions_, gaps_, nexts_, counts_;
  std::vector<absl::Span<const float>> contexts_;
  AlignedVector<float> event_projection_;  // [features, d_model]
};

}  // namespace qlarank

#endif  // QLARANK_MODEL_TOKENS_H_
