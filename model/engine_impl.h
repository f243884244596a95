// What an Engine is made of; for model/*.cc only.
#ifndef QLARANK_MODEL_ENGINE_IMPL_H_
#define QLARANK_MODEL_ENGINE_IMPL_H_

#include <memory>
#include <vector>

#include "model/candidate_inputs.h"
#include "model/catalogue.h"
#include "model/content_tower.h"
#include "model/engine.h"
#include "model/item_embedding.h"
#include "model/item_memory.h"
#include "model/item_table.h"
#include "model/layer.h"
#include "model/matrix.h"
#include "model/memory_facts.h"
#include "model/seeds.h"
#include "model/state_layout.h"
#include "model/tokens.h"

namespace qlarank {

struct Engine::Impl {
  Impl(const Bundle& bundle, const Options& options);

  absl::Status PackWeights(const Bundle& bundle);
  // What candidates need of items. REQUIRES: PackWeights was OK.
  void MakeItems(const Bundle& bundle, const Options& options);
  // Whether candidates pass through layer `index`.
  bool ReadsLayer(size_t index) const;
  std::vector<const Matrix*> matrices() const;

  // Layers that candidates pass through: all, the dedicated block, or none.
  absl::Span<const std::unique_ptr<const Layer>> candidate_layers() const;
  // Layers that seeds pass through: the same, but all where it would be none.
  absl::Span<const std::unique_ptr<const Layer>> seed_layers() const;
  // Whether candidates attend to summaries.
  bool attends_summaries() const {
    return seeds != nullptr && seeds->attended();
  }

  // Passes `rows` events through all layers and folds them, as
  // Layer::ForwardEvents takes them. buffers.x holds the tokens before and x^L
  // afterwards.
  void ForwardEvents(size_t rows, const FoldRow* fold_rows,
                     ScratchBuffers& scratch) const;
  // The same, without x^L: the last layer that holds a state only folds.
  void FoldEvents(size_t rows, const FoldRow* fold_rows,
                  ScratchBuffers& scratch) const;

  // x^L of the newest event -> the user vector u, [d_model].
  void UserVector(const float* x, ScratchBuffers& scratch, float* user) const;

  const model::v1::ModelSpec& spec;
  Precision precision;  // of scoring
  size_t d_model;
  size_t num_tasks;
  std::vector<uint32_t> all_tasks;  // 0, 1 ... num_tasks - 1
  StateLayout layout;
  ItemMemory memory;
  ItemEmbedding item_embedding;
  TokenBuilder tokens;
  std::unique_ptr<const ContentTower> content_tower;  // or null

  std::vector<std::unique_ptr<const Layer>> layers;  // num_layers
  std::unique_ptr<const Layer> dedicated_block;      // or null
  std::unique_ptr<const Seeds> seeds;                // or null

  std::unique_ptr<ItemTable> items;
  std::unique_ptr<Catalogue> catalogue;
  std::unique_ptr<const CandidateInputs> candidate_inputs;
  absl::Span<const float> norm_user;
  std::unique_ptr<const Matrix> w_user_out, w_user_in;  // in: or null
  float dot_scale = 0;                                        // exp(s)
  std::vector<float> dot_weight;  // 1 or 0 by task: Task.dot_term

  absl::Span<const float> norm_cand;
  // Of MLP_task, padded with zeros to whole vectors.
  size_t head_width = 0;
  // By task, [head_width, d] each; none where target_aware is off.
  std::vector<std::unique_ptr<const Matrix>> head_w1;
  AlignedVector<float> head_b1, head_w2;        // [tasks, head_width]
  absl::Span<const float> head_b2;              // [tasks]
  absl::Span<const float> memory_head;          // [tasks, facts], or empty
};

struct ScratchBuffers {
  ScratchBuffers(absl::Span<const Matrix* const> matrices,
                 const model::v1::ModelSpec& spec);

  MatrixScratch matrices;
  TileBuffers tile;
  AlignedVector<float> head_hidden;  // [kTileRows, head_width]
};

struct ReadingValues {
  AlignedVector<float> user;           // u, [d_model]; 0 without events
  AlignedVector<float> shared;         // of every candidate's token, [d_model]
  std::vector<LayerReadout> readouts;  // one per candidate layer
  // Null when candidates do not attend to summaries.
  std::shared_ptr<const UserSummary> summary;
  MemoryFacts memory;
};

}  // namespace qlarank

#endif  // QLARANK_MODEL_ENGINE_IMPL_H_
