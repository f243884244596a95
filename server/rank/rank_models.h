// The models as ranking uses them: what is loaded, what is remembered of users
// under it, and what ranking keeps of its own.
//
// Thread-safe.
#ifndef QLARANK_SERVER_RANK_RANK_MODELS_H_
#define QLARANK_SERVER_RANK_RANK_MODELS_H_

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "server/metrics/rank_metrics.h"
#include "server/models/model_registry.h"
#include "server/models/per_model.h"
#include "server/rank/cost_estimate.h"
#include "server/states/user_states.h"
#include "server/work/tile_scheduler.h"

namespace qlarank {

struct RankModel {
  LoadedModelPtr loaded;
  std::shared_ptr<const UserMemory> memory;  // to read
  // One for each job that may be at work (TileScheduler::num_scratch).
  std::vector<std::unique_ptr<EngineScratch>> worker_scratch;
  ModelRankMetrics* metrics;  // never null
  CostEstimate tile_cost;

  const std::string& name() const { return loaded->name; }
  uint64_t version() const { return loaded->version; }
  const Engine& engine() const { return *loaded->engine; }
  const Bundle& bundle() const { return loaded->bundle(); }
};

// Whoever uses a model holds it.
using RankModelPtr = std::shared_ptr<RankModel>;

class RankModels {
 public:
  // All but the scheduler must outlive this.
  RankModels(const ModelRegistry& registry, UserStates& states,
             RankMetrics& metrics, const TileScheduler& scheduler)
      : registry_(registry),
        models_([&states, &metrics, jobs = scheduler.num_scratch()](
                    const LoadedModelPtr& loaded) {
          auto model = std::make_shared<RankModel>();
          model->loaded = loaded;
          model->memory = states.Of(loaded);
          for (size_t i = 0; i < jobs; ++i) {
            model->worker_scratch.push_back(loaded->engine->NewScratch());
          }
          model->metrics = &metrics.ForModel(loaded->name, loaded->version);
          return model;
        }) {}

  std::shared_ptr<const Registry> Current() const {
    return registry_.Current();
  }
  RankModelPtr Of(const LoadedModelPtr& loaded) { return models_.Of(loaded); }
  // Keeps nothing for the model any more. Requests that use it may go on.
  void LetGo(const LoadedModel& loaded) { models_.LetGo(loaded.id); }

 private:
  const ModelRegistry& registry_;
  PerModel<RankModel> models_;
};

}  // namespace qlarank

#endif  // QLARANK_SERVER_RANK_RANK_MODELS_H_
