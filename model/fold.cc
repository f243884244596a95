// Engine::Fold: events into states, in full tiles.
//
// The rows of a tile are consecutive events of one user, then of the next, so a
// lone user with a long history fills tiles as well as many users do. That is
// possible because only the attention reads what the event before has left
// behind: layer by layer, the matrix products of all rows come first, then
// state and window go from row to row. Every row undergoes the operations that
// it would undergo alone, in the same order, so the bits are those of folding
// event by event.

#include <algorithm>
#include <array>
#include <utility>

#include "model/engine.h"
#include "model/engine_impl.h"

namespace qlarank {
namespace {

constexpr size_t kTileRows = Engine::kTileRows;
// Far enough ahead for an item's row to come from memory meanwhile.
constexpr size_t kItemsAhead = 4;

void SetPending(const Engine::Impl& impl, const ModelEvent& event,
                UserState& state) {
  if (state.event_count > 0) state.predecessor_time_us = state.pending_time_us;
  ++state.event_count;
  state.pending_item_row = event.item_row;
  state.pending_action = event.action;
  state.pending_time_us = event.time_us;
  state.pending_features.assign(event.features.begin(), event.features.end());
  impl.memory.Fold(impl.catalogue->Identity(event.item_row), event.time_us,
                   state.memory);
}

// What is before its next fold: all of `state` but its values, for which there
// is only room.
std::shared_ptr<UserState> WithRoomForValues(const UserState& state) {
  auto result = std::make_shared<UserState>();
  result->event_count = state.event_count;
  result->pending_item_row = state.pending_item_row;
  result->pending_action = state.pending_action;
  result->pending_time_us = state.pending_time_us;
  result->pending_features = state.pending_features;
  result->predecessor_time_us = state.predecessor_time_us;
  result->memory = state.memory;
  result->values = StateVector::Unwritten(state.values.size());
  return result;
}

// A tile being filled; folded whenever it is full.
class FoldTile {
 public:
  FoldTile(const Engine::Impl& impl, ScratchBuffers& scratch)
      : impl_(impl), scratch_(scratch) {}

  // Takes the pending event of `state`, which an event at `next_time_us`
  // follows: folded into `before` it makes state.values, up to date after the
  // next Finish.
  void AddPending(const float* before, UserState& state, int64_t next_time_us) {
    const ModelEvent pending{state.pending_item_row, state.pending_action,
                             state.pending_time_us, state.pending_features};
    impl_.tokens.EventToken({&pending, state.event_count, state.event_count > 1,
                             state.predecessor_time_us, next_time_us},
                            scratch_.tile.x.data() + rows_ * impl_.d_model);
    fold_rows_[rows_++] = {before, state.values.data(), state.event_count - 1};
    if (rows_ == kTileRows) Finish();
  }

  // Folds what was added.
  void Finish() {
    if (rows_ > 0) impl_.FoldEvents(rows_, fold_rows_.data(), scratch_);
    rows_ = 0;
  }

 private:
  const Engine::Impl& impl_;
  ScratchBuffers& scratch_;
  size_t rows_ = 0;
  std::array<FoldRow, kTileRows> fold_rows_;
};

}  // namespace

void Engine::Impl::ForwardEvents(size_t rows, const FoldRow* fold_rows,
                                 ScratchBuffers& scratch) const {
  for (const auto& layer : layers) {
    layer->ForwardEvents(rows, fold_rows, scratch.tile, scratch.matrices);
  }
  if (dedicated_block != nullptr) {
    dedicated_block->FoldEvents(rows, fold_rows, scratch.tile);
  }
}

void Engine::Impl::FoldEvents(size_t rows, const FoldRow* fold_rows,
                              ScratchBuffers& scratch) const {
  if (dedicated_block != nullptr) {
    return ForwardEvents(rows, fold_rows, scratch);
  }
  for (size_t i = 0; i + 1 < layers.size(); ++i) {
    layers[i]->ForwardEvents(rows, fold_rows, scratch.tile, scratch.matrices);
  }
  layers.back()->FoldEvents(rows, fold_rows, scratch.tile);
}

void Engine::Fold(absl::Span<FoldJob> jobs,
                  EngineScratch& engine_scratch) const {
  FoldTile tile(*impl_, engine_scratch.buffers());
  for (FoldJob& job : jobs) {
    if (job.events.empty()) {
      job.after = job.before;
      continue;
    }
    // The first fold reads the state before and writes the one after, so that
    // nothing is copied; a user's first event alone is not folded.
    const bool folds = job.before->found() || job.events.size() > 1;
    auto state = folds ? WithRoomForValues(*job.before)
                       : std::make_shared<UserState>(*job.before);
    const float* before = job.before->values.data();
    for (size_t i = 0; i < job.events.size(); ++i) {
      const ModelEvent& event = job.events[i];
      if (i + kItemsAhead < job.events.size()) {
        impl_->tokens.PrefetchItem(job.events[i + kItemsAhead].item_row);
      }
      // A first event only becomes pending.
      if (state->found()) {
        tile.AddPending(before, *state, event.time_us);
        before = state->values.data();
      }
      SetPending(*impl_, event, *state);
    }
    job.after = std::move(state);
  }
  tile.Finish();
}

}  // namespace qlarank
