// A user's whole history at a fixed size: docs/model.md section 5.
//
// Immutable once made (by Engine::Fold or Engine::ParseState), so states are
// shared as std::shared_ptr<const UserState> and read by any thread.
#ifndef QLARANK_MODEL_USER_STATE_H_
#define QLARANK_MODEL_USER_STATE_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/types/span.h"
#include "model/state_memory.h"

namespace qlarank {

// An event whose item and action are rows of one model's tables.
struct ModelEvent {
  uint32_t item_row = 0;
  uint32_t action = 0;  // Bundle::ActionIndex, kUnknownAction allowed
  int64_t time_us = 0;  // since the Unix epoch
  // As many as the model has event features.
  absl::Span<const float> features;
};

struct UserState {
  // n: events in the state, the pending one counted.
  uint64_t event_count = 0;

  // The newest event, not folded yet. Meaningless when event_count is 0.
  uint32_t pending_item_row = 0;
  uint32_t pending_action = 0;
  int64_t pending_time_us = 0;
  std::vector<float> pending_features;

  // Time of the event before it. Meaningless when event_count is below 2.
  int64_t predecessor_time_us = 0;

  // Z and the convolution's window of every layer: StateLayout gives the
  // offsets. State after event_count - 1 events.
  StateVector values;

  // Facts of single items, as ItemMemory has them: of all events, the pending
  // one too. Empty where the model has no item memory.
  StateBlock memory;

  bool found() const { return event_count > 0; }
  // Memory that it takes, itself counted.
  size_t size_bytes() const;
};

}  // namespace qlarank

#endif  // QLARANK_MODEL_USER_STATE_H_
