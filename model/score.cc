// Engine::Read and Engine::Score: docs/model.md sections 4 and 5.

#include <algorithm>
#include <cmath>
#include <utility>

#include "model/buckets.h"
#include "model/engine.h"
#include "model/engine_impl.h"
#include "model/kernels.h"

namespace qlarank {

void Engine::Impl::UserVector(const float* x, ScratchBuffers& scratch,
                              float* user) const {
  float* normed = scratch.tile.normed.data();
  kernels::RmsNorm(x, norm_user.data(), 1, d_model, normed);
  scratch.gemm.Run(*w_user_out, TileIndexFor(1), normed, user);
  const float norm = std::sqrt(kernels::Dot(user, user, d_model));
  const float inverse = 1.0f / std::max(norm, 1e-12f);
  for (size_t i = 0; i < d_model; ++i) user[i] *= inverse;
}

std::unique_ptr<const Reading> Engine::Read(
    const UserState& state, const RequestView& request,
    EngineScratch& engine_scratch) const {
  const Impl& impl = *impl_;
  ScratchBuffers& scratch = engine_scratch.buffers();
  FoldJob recent;
  if (!request.recent_events.empty()) {
    recent = {std::make_shared<UserState>(state), request.recent_events, {}};
    Fold(absl::MakeSpan(&recent, 1), engine_scratch);
  }
  const UserState& newest = recent.after ? *recent.after : state;
  // The private copy, into which the pending event is folded.
  AlignedVector<float> values = newest.values;

  auto reading = std::make_unique<ReadingValues>();
  reading->user.resize(impl.d_model);
  uint32_t gap_bucket = kNoGapBucket;
  if (newest.found()) {
    const ModelEvent pending{newest.pending_item_row, newest.pending_action,
                             newest.pending_time_us, newest.pending_features};
    float* x = scratch.tile.x.data();
    impl.tokens.EventToken(
        {&pending, newest.event_count, newest.event_count > 1,
         newest.predecessor_time_us, request.time_us},
        x);
    float* const states[] = {values.data()};
    impl.ForwardEvents(1, states, scratch);
    impl.UserVector(x, scratch, reading->user.data());
    gap_bucket = GapBucket(newest.pending_time_us, request.time_us);
  }
  if (impl.candidate_layers().empty()) {
    return std::make_unique<Reading>(std::move(reading));
  }

  AlignedVector<float> user_projection(impl.d_model);
  scratch.gemm.Run(*impl.w_user_in, TileIndexFor(1), reading->user.data(),
                   user_projection.data());
  reading->shared.resize(impl.d_model);
  impl.tokens.CandidateShared(gap_bucket, user_projection, request.context_rows,
                              absl::MakeSpan(reading->shared));
  for (const auto& layer : impl.candidate_layers()) {
    reading->readouts.push_back(layer->MakeReadout(values.data()));
  }
  return std::make_unique<Reading>(std::move(reading));
}

namespace {

// The dot term of a candidate: exp(s) <u, unit(E_item)> + bias.
float DotTerm(const ReadingValues& reading, const float* item,
              float inverse_norm, float scale, float bias, size_t d_model) {
  const float cosine =
      kernels::Dot(reading.user.data(), item, d_model) * inverse_norm;
  return scale * cosine + bias;
}

}  // namespace

void Engine::Score(const Reading& engine_reading,
                   absl::Span<const uint32_t> item_rows,
                   absl::Span<const float> features, absl::Span<float> scores,
                   EngineScratch& engine_scratch) const {
  const Impl& impl = *impl_;
  const ReadingValues& reading = engine_reading.values();
  ScratchBuffers& scratch = engine_scratch.buffers();
  const size_t d = impl.d_model, tasks = impl.num_tasks;
  const size_t num_features = impl.spec.candidate_features_size();
  const bool target_aware = IsTargetAware(impl.spec);
  AlignedVector<float>& x = scratch.tile.x;
  for (size_t first = 0; first < item_rows.size(); first += kTileRows) {
    const size_t rows = std::min(kTileRows, item_rows.size() - first);
    float* out = scores.data() + first * tasks;
    std::fill_n(out, rows * tasks, 0.0f);
    if (target_aware) {
      const size_t tile = TileIndexFor(rows);
      for (size_t row = 0; row < rows; ++row) {
        impl.tokens.CandidateToken(
            item_rows[first + row], reading.shared,
            features.data() + (first + row) * num_features, x.data() + row * d);
      }
      // Rows that only fill the tile stay finite.
      std::fill(x.begin() + rows * d, x.begin() + kTileSizes[tile] * d, 0.0f);
      const auto layers = impl.candidate_layers();
      for (size_t l = 0; l < layers.size(); ++l) {
        layers[l]->ForwardCandidates(rows, reading.readouts[l], scratch.tile,
                                     scratch.gemm);
      }
      kernels::RmsNorm(x.data(), impl.norm_cand.data(), rows, d,
                       scratch.tile.normed.data());
      scratch.gemm.Run(*impl.head_w1, tile, scratch.tile.normed.data(),
                       scratch.head_hidden.data());
      for (size_t i = 0; i < rows * tasks; ++i) {
        const size_t task = i % tasks;
        out[i] =
            kernels::HeadLogit(scratch.head_hidden.data() + i * impl.head_width,
                               impl.head_b1.data() + task * impl.head_width,
                               impl.head_w2.data() + task * impl.head_width,
                               impl.head_width) +
            impl.head_b2[task];
      }
    }
    if (impl.dot_scale == 0) continue;
    for (size_t row = 0; row < rows; ++row) {
      const size_t item = item_rows[first + row];
      const float dot = DotTerm(reading, impl.item_embedding.data() + item * d,
                                impl.item_inverse_norm[item], impl.dot_scale,
                                impl.item_bias[item], d);
      for (size_t task = 0; task < tasks; ++task) {
        if (impl.spec.tasks(task).dot_term()) out[row * tasks + task] += dot;
      }
    }
  }
}

}  // namespace qlarank
