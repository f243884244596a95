// Engine::Summarize: seeds read a state as candidates do, a tile at a time.

#include <algorithm>
#include <utility>
#include <vector>

#include "model/engine.h"
#include "model/engine_impl.h"

namespace qlarank {

std::shared_ptr<const UserSummary> Engine::Summarize(
    const UserState& state, EngineScratch& engine_scratch) const {
  const Seeds& seeds = *impl_->seeds;
  ScratchBuffers& scratch = engine_scratch.buffers();
  const auto layers = impl_->seed_layers();
  const uint64_t folded = state.found() ? state.event_count - 1 : 0;
  std::vector<LayerReadout> readouts;
  for (const auto& layer : layers) {
    readouts.push_back(
        layer->MakeReadout(state.values.data(), folded));
  }
  auto summary = std::make_shared<UserSummary>();
  seeds.MakeRoom(*summary);
  const size_t d = impl_->d_model;
  AlignedVector<float>& x = scratch.tile.x;
  for (size_t first = 0; first < seeds.num_seeds(); first += kTileRows) {
    const size_t rows = std::min(kTileRows, seeds.num_seeds() - first);
    std::copy_n(seeds.tokens().data() + first * d, rows * d, x.data());
    for (size_t l = 0; l < layers.size(); ++l) {
      layers[l]->ForwardSeeds(rows, readouts[l], x.data(), scratch.tile,
                              scratch.matrices);
    }
    seeds.Conclude(first, rows, scratch.tile, scratch.matrices, *summary);
  }
  return summary;
}

}  // namespace qlarank
