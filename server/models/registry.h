// The models that are served at one moment, and which of them a request means.
//
// Immutable, so safe to share; model_registry.h holds the one of now.
#ifndef QLARANK_SERVER_MODELS_REGISTRY_H_
#define QLARANK_SERVER_MODELS_REGISTRY_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "config/server_options.h"
#include "server/metrics/info_metrics.h"
#include "server/models/event_vocabulary.h"
#include "server/models/loaded_model.h"
#include "state_store/state_store.h"

namespace qlarank {

class Registry {
 public:
  // Loads every bundle; takes tens of milliseconds each. A bundle is served
  // under the name and version of its option, whatever its own are.
  // The store learns the default model's event features, if it does not know
  // them, and every model finds its own among them by name; it makes room for
  // each model's snapshots.
  // Logs, in one line for each model that misses some of what events say, what
  // that is.
  // FAILED_PRECONDITION  a bundle's fingerprint is not the expected one
  // or what Bundle::Load and Engine::Create say, with the model named.
  static absl::StatusOr<std::shared_ptr<const Registry>> Load(
      absl::Span<const ModelOptions> options, StateStore& store,
      InfoMetrics& metrics, UnknownActions unknown = UnknownActions::kRefuse);

  // "" and 0 are the default model and the newest version: of the default
  // model the configured one. NOT_FOUND names what was asked for.
  absl::StatusOr<LoadedModelPtr> Resolve(absl::string_view name,
                                         uint64_t version) const;

  absl::Span<const LoadedModelPtr> models() const { return models_; }
  // One of them.
  const LoadedModelPtr& default_model() const { return default_model_; }
  // What events may say, all models together.
  const EventVocabulary& vocabulary() const { return *vocabulary_; }
  // The schema of the event features in requests: those of the default model, in
  // its order.
  uint32_t event_schema() const { return event_schema_; }

 private:
  Registry() = default;

  std::vector<LoadedModelPtr> models_;
  LoadedModelPtr default_model_;
  std::optional<const EventVocabulary> vocabulary_;  // once it is loaded
  uint32_t event_schema_ = 0;
};

}  // namespace qlarank

#endif  // QLARANK_SERVER_MODELS_REGISTRY_H_
