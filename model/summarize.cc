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
  std::vector<LayerReadout> readouts;
  for (const auto& layer : layers) {
    readouts.push_back(layer->MakeReadout(state.values.data()));
  }
  auto summary = std::make_shared<UserSummary>();
  seeds.MakeRoom(*summary);
  const size_t d = impl_->d_model;
  AlignedVector<float>& x = scratch.tile.x;
  for (size_t first = 0; first < seeds.num_seeds(); first += kTileRows) {
    const size_t rows = std::min(kTileRows, seeds.num_seeds() - first);
    std::copy_n(seeds.tokens().data() + first * d, rows * d, x.data());
    // Rows that only fill the tile stay finite.
    std::fill(x.begin() + rows * d, x.begin() + scratch.gemm.TileRows(rows) * d,
              0.0f);
    for (size_t l = 0; l < layers.size(); ++l) {
      layers[l]->ForwardSeeds(rows, readouts[l], x.data(), scratch.tile,
                              scratch.gemm);
    }
    seeds.Conclude(first, rows, scratch.tile, scratch.gemm, *summary);
  }
  return summary;
}

}  // namespace qlarank
