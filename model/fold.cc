// Engine::Fold: events into states, one event per user and tile row at a time.

#include <algorithm>
#include <utility>
#include <vector>

#include "model/engine.h"
#include "model/engine_impl.h"

namespace qlarank {
namespace {

constexpr size_t kTileRows = Engine::kTileRows;

// The pending event of a state, as an event.
ModelEvent PendingEvent(const UserState& state) {
  return {state.pending_item_row, state.pending_action, state.pending_time_us,
          state.pending_features};
}

void SetPending(const ModelEvent& event, UserState& state) {
  if (state.event_count > 0) state.predecessor_time_us = state.pending_time_us;
  ++state.event_count;
  state.pending_item_row = event.item_row;
  state.pending_action = event.action;
  state.pending_time_us = event.time_us;
  state.pending_features.assign(event.features.begin(), event.features.end());
}

// A user's fold under way.
struct Lane {
  FoldJob* job = nullptr;
  std::shared_ptr<UserState> state;
  size_t next = 0;  // of job->events
};

// The state's pending event, folded when `next_time_us` comes after it.
EventInContext PendingInContext(const UserState& state, const ModelEvent& event,
                                int64_t next_time_us) {
  return {&event, state.event_count, state.event_count > 1,
          state.predecessor_time_us, next_time_us};
}

}  // namespace

void Engine::Impl::ForwardEvents(size_t rows, float* const* states,
                                 ScratchBuffers& scratch) const {
  // Rows that only fill the tile stay finite.
  AlignedVector<float>& x = scratch.tile.x;
  std::fill(x.begin() + rows * d_model,
            x.begin() + scratch.gemm.TileRows(rows) * d_model, 0.0f);
  for (const auto& layer : layers) {
    layer->ForwardEvents(rows, states, scratch.tile, scratch.gemm);
  }
  if (dedicated_block != nullptr) {
    dedicated_block->FoldEvents(rows, states, scratch.tile, scratch.gemm);
  }
}

void Engine::Fold(absl::Span<FoldJob> jobs,
                  EngineScratch& engine_scratch) const {
  ScratchBuffers& scratch = engine_scratch.buffers();
  std::vector<Lane> lanes;
  for (FoldJob& job : jobs) {
    if (job.events.empty()) {
      job.after = job.before;
      continue;
    }
    Lane& lane = lanes.emplace_back();
    lane.job = &job;
    lane.state = std::make_shared<UserState>(*job.before);
    // A first event only becomes pending.
    if (lane.state->event_count == 0) {
      SetPending(job.events[lane.next++], *lane.state);
    }
  }
  // Longest first, so that the lanes still busy are a prefix of every tile.
  std::stable_sort(
      lanes.begin(), lanes.end(), [](const Lane& a, const Lane& b) {
        return a.job->events.size() - a.next > b.job->events.size() - b.next;
      });

  for (size_t first = 0; first < lanes.size(); first += kTileRows) {
    const absl::Span<Lane> tile =
        absl::MakeSpan(lanes).subspan(first, kTileRows);
    while (true) {
      float* states[kTileRows];
      size_t rows = 0;
      for (; rows < tile.size(); ++rows) {
        Lane& lane = tile[rows];
        if (lane.next == lane.job->events.size()) break;
        const ModelEvent pending = PendingEvent(*lane.state);
        impl_->tokens.EventToken(
            PendingInContext(*lane.state, pending,
                             lane.job->events[lane.next].time_us),
            scratch.tile.x.data() + rows * impl_->d_model);
        states[rows] = lane.state->values.data();
      }
      if (rows == 0) break;
      impl_->ForwardEvents(rows, states, scratch);
      for (size_t row = 0; row < rows; ++row) {
        Lane& lane = tile[row];
        SetPending(lane.job->events[lane.next++], *lane.state);
      }
    }
  }
  for (Lane& lane : lanes) lane.job->after = std::move(lane.state);
}

}  // namespace qlarank
