// The models that are served: each an engine with its own memory of the users,
// all over one log.
//
// Immutable once made, so safe to share.
#ifndef QLARANK_SERVER_MODELS_MODEL_REGISTRY_H_
#define QLARANK_SERVER_MODELS_MODEL_REGISTRY_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "config/server_options.h"
#include "model/engine.h"
#include "server/metrics/metrics.h"
#include "server/rank/cost_estimate.h"
#include "server/states/user_memory.h"

namespace qlarank {

// One model version. Members in the order in which they depend on each other.
struct ServedModel {
  std::string name;
  uint64_t version = 0;
  std::unique_ptr<const Engine> engine;
  std::unique_ptr<UserMemory> memory;
  // One per scoring thread, used by that thread only.
  std::vector<std::unique_ptr<EngineScratch>> worker_scratch;
  ModelRankMetrics* metrics = nullptr;  // never null once served
  CostEstimate tile_cost;

  const Bundle& bundle() const { return engine->bundle(); }
};

class ModelRegistry {
 public:
  // What models need of the server; all must outlive the registry.
  struct Environment {
    StateStore& store;
    Metrics& metrics;
    uint64_t snapshot_interval = 64;
    size_t user_cache_bytes = size_t{1} << 30;  // shared equally
    size_t scoring_threads = 1;
  };

  // Loads every bundle; takes tens of milliseconds each. A bundle is served
  // under the name and version of its option, whatever its own are.
  // The store learns the default model's event features, if it does not know
  // them, and every model finds its own among them by name.
  // FAILED_PRECONDITION  a bundle's fingerprint is not the expected one, or two
  //                      models want events that no event can satisfy
  // or what Bundle::Load and Engine::Create say, with the model named.
  static absl::StatusOr<std::unique_ptr<ModelRegistry>> Load(
      absl::Span<const ModelOptions> options, const Environment& environment);

  // "" and 0 are the default model and the newest version: of the default
  // model the configured one. NOT_FOUND names what was asked for.
  absl::StatusOr<ServedModel*> Resolve(absl::string_view name,
                                       uint64_t version) const;

  absl::Span<const std::unique_ptr<ServedModel>> models() const {
    return models_;
  }
  // Of the same models.
  absl::Span<const Bundle* const> bundles() const { return bundles_; }
  // What an event without an action did: the default model's first.
  absl::string_view default_action() const { return default_action_; }
  // The schema of the event features in requests: those of the default model, in
  // its order.
  uint32_t event_schema() const { return event_schema_; }

 private:
  ModelRegistry() = default;

  std::vector<std::unique_ptr<ServedModel>> models_;
  std::vector<const Bundle*> bundles_;
  ServedModel* default_model_ = nullptr;
  std::string default_action_;
  uint32_t event_schema_ = 0;
};

}  // namespace qlarank

#endif  // QLARANK_SERVER_MODELS_MODEL_REGISTRY_H_
