// Folds events into user states and scores candidates against them: the
// mathematics of docs/model.md, in arithmetic that is the same bits everywhere
// (its section 10) but for scores in a lower precision.
//
// One forward pass serves both: an event and a candidate are rows of a tile.
// A row's result is bitwise the same whatever the tile's other rows are, so
// scores do not depend on a candidate's neighbours, nor states on whose
// events were folded together (ARCHITECTURE.md, invariants 1 and 3).
//
// What cannot be computed is NaN and never a plausible number, in every
// precision: weights that overflow, or a product that failed. Callers look at
// AllFinite before they hand out scores or keep a state.
//
// Thread safety: an Engine is immutable but for its catalogue, to which rows can
// be added while others read; each thread brings its own Scratch.
// Methods never block, and allocate nothing per candidate.
#ifndef QLARANK_MODEL_ENGINE_H_
#define QLARANK_MODEL_ENGINE_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "model/bundle.h"
#include "model/catalogue.h"
#include "model/content_tower.h"
#include "model/precision.h"
#include "model/user_state.h"
#include "model/user_summary.h"

namespace qlarank {

struct ScratchBuffers;  // engine_impl.h
struct ReadingValues;   // engine_impl.h

// The buffers that one thread computes in. Made by Engine::NewScratch; used by
// one thread at a time.
class EngineScratch {
 public:
  explicit EngineScratch(std::unique_ptr<ScratchBuffers> buffers);
  ~EngineScratch();

  ScratchBuffers& buffers() { return *buffers_; }

 private:
  std::unique_ptr<ScratchBuffers> buffers_;
};

// A state made ready for the candidates of one request: what all of them
// share. Made by Engine::Read; immutable, so tiles of it may run on any
// threads.
class Reading {
 public:
  explicit Reading(std::unique_ptr<const ReadingValues> values);
  ~Reading();

  const ReadingValues& values() const { return *values_; }
  // The user vector u of docs/model.md section 4, [d_model]; 0 without events.
  absl::Span<const float> user_vector() const;
  // Whether none of it is NaN or infinite; the summary is not looked at.
  bool finite() const;
  // Memory that it takes, itself and its summary counted.
  size_t size_bytes() const;

 private:
  std::unique_ptr<const ReadingValues> values_;
};

// Whether none of the values is NaN or infinite.
bool AllFinite(absl::Span<const float> values);

// What a request says beside its candidates.
struct RequestView {
  int64_t time_us = 0;  // since the Unix epoch
  // Folded into a private copy, oldest first.
  absl::Span<const ModelEvent> recent_events;
  // One row per context feature of the model (ContextFeature::Row); empty
  // stands for "all missing".
  absl::Span<const uint32_t> context_rows;
};

// One user's share of a batched fold.
struct FoldJob {
  std::shared_ptr<const UserState> before;
  absl::Span<const ModelEvent> events;     // in log order
  // Out; `before` if no events. Not to be kept unless its values are AllFinite.
  std::shared_ptr<const UserState> after;
};

class Engine {
 public:
  // Rows of a full tile; Score is fastest in multiples of it.
  static constexpr size_t kTileRows = 64;

  struct Options {
    // Of scoring; float32 is used where the processor does not have it
    // (precision() tells). States are folded in float32 in any case.
    Precision precision = Precision::kF32;
    // What shares of the first layer may take in memory, those of all of the
    // bundle's items together; else they are computed for every candidate, with
    // the same bits.
    size_t most_share_bytes = size_t{1} << 30;
    // Rows that the catalogue can be added. Address space is reserved for them;
    // memory is taken as they come.
    size_t most_added_items = 0;
  };

  // Packs the weights: takes milliseconds. INTERNAL when this processor or build
  // computes other bits (canary.h), or when oneDNN refuses a matrix, naming it.
  static absl::StatusOr<std::unique_ptr<const Engine>> Create(
      std::shared_ptr<const Bundle> bundle, const Options& options);
  // With the default options.
  static absl::StatusOr<std::unique_ptr<const Engine>> Create(
      std::shared_ptr<const Bundle> bundle);
  ~Engine();

  const Bundle& bundle() const { return *bundle_; }
  // Under which states are stored: the bundle's fingerprint, ".", and a tag for
  // the processor's kernels, whose last bits may differ from another's.
  const std::string& state_fingerprint() const { return state_fingerprint_; }
  // The items that there are: the bundle's, and more as they are added by one
  // writer while others read. Nothing that was computed before changes by it.
  Catalogue& catalogue() const;
  // Makes rows of what is said of items; null: the model has none.
  const ContentTower* content_tower() const;
  // What candidates are scored in.
  Precision precision() const;
  size_t num_tasks() const;
  // 0, 1 ... num_tasks() - 1.
  absl::Span<const uint32_t> all_tasks() const;
  // Virtual seeds (docs/model.md section 8), 0: none; and whether candidates
  // attend to their summaries.
  size_t num_seeds() const;
  bool attends_summaries() const;

  // Use by one thread at a time, with this engine only.
  std::unique_ptr<EngineScratch> NewScratch() const;

  struct Impl;  // engine_impl.h

  // The state of a user without events.
  const std::shared_ptr<const UserState>& empty_state() const {
    return empty_state_;
  }
  // The same bits as bytes (docs/storage.md), and back. ParseState checks
  // lengths, rows, finiteness and the item memory: DATA_LOSS otherwise.
  std::string SerializeState(const UserState& state) const;
  absl::StatusOr<std::shared_ptr<const UserState>> ParseState(
      absl::string_view bytes) const;

  // Folds every job's events into its state: fastest when there are many, of
  // one job or of all together. States are those of this engine. Jobs must be
  // of different users only in the sense that each starts from its own
  // `before`.
  void Fold(absl::Span<FoldJob> jobs, EngineScratch& scratch) const;

  // What the seeds make of a state: of its folded events, the pending one not
  // counted. The same bits every time. REQUIRES: num_seeds() > 0.
  std::shared_ptr<const UserSummary> Summarize(const UserState& state,
                                               EngineScratch& scratch) const;

  // Folds the pending event (and recent events) into a private copy at the
  // request's time and derives all that candidates share. The result may be
  // read by several threads and does not refer to `state` or `request`.
  // `summary`: of `state`, where it is at hand already; made here when
  // candidates attend and it is null, or of no use because of recent events.
  std::unique_ptr<const Reading> Read(
      const UserState& state, const RequestView& request,
      EngineScratch& scratch,
      std::shared_ptr<const UserSummary> summary = nullptr) const;

  // Scores candidates: item_rows [n] by Catalogue::Rows, features row-major
  // [n, candidate features] (empty if the model has none), scores row-major
  // [n, tasks], logits. n of any size; tiles inside. `tasks`: of the model, each
  // once, in any order; what others would take is not computed, and a task's
  // scores have the same bits whichever others there are.
  void Score(const Reading& reading, absl::Span<const uint32_t> item_rows,
             absl::Span<const float> features, absl::Span<const uint32_t> tasks,
             absl::Span<float> scores, EngineScratch& scratch) const;
  // The same for all tasks.
  void Score(const Reading& reading, absl::Span<const uint32_t> item_rows,
             absl::Span<const float> features, absl::Span<float> scores,
             EngineScratch& scratch) const {
    Score(reading, item_rows, features, all_tasks(), scores, scratch);
  }

 private:
  Engine(std::shared_ptr<const Bundle> bundle, const Options& options);

  std::shared_ptr<const Bundle> bundle_;
  std::string state_fingerprint_;
  std::shared_ptr<const UserState> empty_state_;
  std::unique_ptr<Impl> impl_;
};

}  // namespace qlarank

#endif  // QLARANK_MODEL_ENGINE_H_
