// Engine::Read and Engine::Score: docs/model.md sections 4, 5 and 8.

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
  w_user_out->Run(1, normed, user, scratch.matrices);
  const float norm = std::sqrt(kernels::Dot(user, user, d_model));
  const float inverse = 1.0f / std::max(norm, 1e-12f);
  for (size_t i = 0; i < d_model; ++i) user[i] *= inverse;
}

std::unique_ptr<const Reading> Engine::Read(
    const UserState& state, const RequestView& request,
    EngineScratch& engine_scratch,
    std::shared_ptr<const UserSummary> summary) const {
  const Impl& impl = *impl_;
  ScratchBuffers& scratch = engine_scratch.buffers();
  FoldJob recent;
  if (!request.recent_events.empty()) {
    recent = {std::make_shared<UserState>(state), request.recent_events, {}};
    Fold(absl::MakeSpan(&recent, 1), engine_scratch);
  }
  const UserState& newest = recent.after ? *recent.after : state;
  // Of the private state that the pending event is folded into.
  StateVector values = newest.found()
                           ? StateVector::Unwritten(newest.values.size())
                           : newest.values;

  auto reading = std::make_unique<ReadingValues>();
  reading->user.resize(impl.d_model);
  uint32_t gap_bucket = kNoGapBucket;
  // The least gap of its bucket to the newest event, so that the reading is the
  // same as long as the bucket.
  int64_t as_of_s = 0;
  if (newest.found()) {
    const ModelEvent pending{newest.pending_item_row, newest.pending_action,
                             newest.pending_time_us, newest.pending_features};
    float* x = scratch.tile.x.data();
    impl.tokens.EventToken(
        {&pending, newest.event_count, newest.event_count > 1,
         newest.predecessor_time_us, request.time_us},
        x);
    const FoldRow fold_row{newest.values.data(), values.data(),
                           newest.event_count - 1};
    impl.ForwardEvents(1, &fold_row, scratch);
    impl.UserVector(x, scratch, reading->user.data());
    gap_bucket = GapBucket(newest.pending_time_us, request.time_us);
    as_of_s = WholeSeconds(newest.pending_time_us) + LeastGap(gap_bucket);
  }
  if (impl.candidate_layers().empty()) {
    return std::make_unique<Reading>(std::move(reading));
  }

  impl.w_user_in->Run(1, reading->user.data(), scratch.tile.mixed.data(),
                      scratch.matrices);
  const absl::Span<const float> user_projection(scratch.tile.mixed.data(),
                                                impl.d_model);
  reading->shared.resize(impl.d_model);
  impl.tokens.CandidateShared(gap_bucket, user_projection, request.context_rows,
                              absl::MakeSpan(reading->shared));
  for (const auto& layer : impl.candidate_layers()) {
    reading->readouts.push_back(
        layer->MakeReadout(values.data(), newest.event_count));
  }
  impl.candidate_inputs->ShareReadout(reading->shared.data(),
                                      reading->readouts.front(), scratch.tile,
                                      scratch.matrices);
  reading->memory =
      MemoryFacts(impl.memory, newest.memory, as_of_s, impl.memory_head);
  if (impl.attends_summaries()) {
    const bool usable = summary != nullptr && recent.after == nullptr;
    reading->summary =
        usable ? std::move(summary) : Summarize(newest, engine_scratch);
  }
  return std::make_unique<Reading>(std::move(reading));
}

namespace {

// Adds exp(s) <u, unit(E_item)> + bias to the tasks that have a dot term;
// dots: <u, E_item> of every row.
void AddDotTerm(const Engine::Impl& impl, const CandidateTile& tile,
                absl::Span<const uint32_t> tasks, const float* dots,
                float* scores) {
  for (size_t row = 0; row < tile.rows.size(); ++row) {
    const auto [inverse_norm, bias] =
        impl.items->terms(tile.rows[row]);
    const float term = impl.dot_scale * (dots[row] * inverse_norm) + bias;
    for (const uint32_t task : tasks) *scores++ += impl.dot_weight[task] * term;
  }
}

// Adds what the facts of the user's item memory say to `tasks` of a tile's
// candidates.
void AddMemoryTerm(const Engine::Impl& impl, const CandidateTile& tile,
                   absl::Span<const uint32_t> tasks, float* scores) {
  for (size_t row = 0; row < tile.rows.size(); ++row, scores += tasks.size()) {
    if (tile.facts[row] == nullptr) continue;
    const float* logits = tile.facts[row] + impl.memory.num_facts();
    for (size_t i = 0; i < tasks.size(); ++i) scores[i] += logits[tasks[i]];
  }
}

// Passes the candidates through their layers; scratch.tile.x holds x_c then,
// and dots <u, E_item>.
void ForwardCandidates(const Engine::Impl& impl, const ReadingValues& reading,
                       const CandidateTile& tile, ScratchBuffers& scratch,
                       float* dots) {
  float* x = scratch.tile.x.data();
  const size_t rows = tile.rows.size();
  impl.candidate_inputs->Tokens(tile, reading.shared.data(), reading.user.data(), x,
                          dots);
  impl.candidate_inputs->MakeQkvg(tile, reading.readouts.front(), x, scratch.tile,
                            scratch.matrices);
  const auto layers = impl.candidate_layers();
  layers.front()->FinishCandidates(rows, reading.readouts.front(), x,
                                   scratch.tile, scratch.matrices);
  for (size_t l = 1; l < layers.size(); ++l) {
    layers[l]->ForwardCandidates(rows, reading.readouts[l], x, scratch.tile,
                                 scratch.matrices);
  }
}

// Adds what a task's head makes of its hidden values to every num_tasks-th
// score.
void AddLogits(const Engine::Impl& impl, size_t task, const float* hidden,
               size_t rows, size_t num_tasks, float* scores) {
  const size_t width = impl.head_width, first = task * width;
  for (size_t row = 0; row < rows; ++row) {
    scores[row * num_tasks] +=
        kernels::HeadLogit(hidden + row * width, impl.head_b1.data() + first,
                           impl.head_w2.data() + first, width) +
        impl.head_b2[task];
  }
}

// Adds MLP_task(RMSNorm(x_c)) to `tasks` of a tile's candidates, which read the
// summaries first if there are any.
void AddHeadTerm(const Engine::Impl& impl, const ReadingValues& reading,
                 absl::Span<const uint32_t> tasks, size_t rows,
                 ScratchBuffers& scratch, float* scores) {
  float* x = scratch.tile.x.data();
  if (reading.summary != nullptr) {
    impl.seeds->Attend(rows, *reading.summary, x, scratch.tile,
                       scratch.matrices);
  }
  kernels::RmsNorm(x, impl.norm_cand.data(), rows, impl.d_model,
                   scratch.tile.normed.data());
  const float* normed = scratch.tile.normed.data();
  float* hidden = scratch.head_hidden.data();
  for (size_t i = 0; i < tasks.size(); ++i) {
    impl.head_w1[tasks[i]]->Run(rows, normed, hidden, scratch.matrices);
    AddLogits(impl, tasks[i], hidden, rows, tasks.size(), scores + i);
  }
}

}  // namespace

void Engine::Score(const Reading& reading, absl::Span<const uint32_t> item_rows,
                   absl::Span<const float> features,
                   absl::Span<const uint32_t> tasks, absl::Span<float> scores,
                   EngineScratch& scratch) const {
  const size_t num_features = impl_->spec.candidate_features_size();
  const MemoryFacts& memory = reading.values().memory;
  std::fill(scores.begin(), scores.end(), 0.0f);
  for (size_t first = 0; first < item_rows.size(); first += kTileRows) {
    CandidateTile tile{item_rows.subspan(first, kTileRows),
                       features.data() + first * num_features, nullptr};
    const float* facts[kTileRows];
    if (memory.known()) {
      for (size_t i = 0; i < tile.rows.size(); ++i) {
        facts[i] = memory.Find(impl_->catalogue->Identity(tile.rows[i]));
      }
      tile.facts = facts;
    }
    float* out = scores.data() + first * tasks.size();
    float dots[kTileRows];
    if (impl_->candidate_layers().empty()) {
      impl_->candidate_inputs->Dots(tile.rows, reading.values().user.data(), dots);
    } else {
      ScratchBuffers& buffers = scratch.buffers();
      ForwardCandidates(*impl_, reading.values(), tile, buffers, dots);
      AddHeadTerm(*impl_, reading.values(), tasks, tile.rows.size(), buffers,
                  out);
    }
    if (HasDotTerm(impl_->spec)) AddDotTerm(*impl_, tile, tasks, dots, out);
    if (tile.facts != nullptr) AddMemoryTerm(*impl_, tile, tasks, out);
  }
}

}  // namespace qlarank
