#include "server/models/loaded_model.h"

#include <atomic>
#include <utility>

namespace qlarank {

LoadedModelPtr MakeLoadedModel(std::string name, uint64_t version,
                               std::shared_ptr<const Engine> engine,
                               EventFeatures features) {
  static std::atomic<uint32_t> next_id = 1;
  return std::make_shared<LoadedModel>(
      LoadedModel{next_id.fetch_add(1, std::memory_order_relaxed),
                  std::move(name), version, std::move(engine),
                  std::move(features)});
}

}  // namespace qlarank
