// The models that are served at one moment, with their labels, and which of them
// a request means; and those that are not served, yet or any more.
//
// Immutable, so safe to share; model_registry.h holds the one of now, and a change
// makes another one.
#ifndef QLARANK_SERVER_MODELS_REGISTRY_H_
#define QLARANK_SERVER_MODELS_REGISTRY_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "config/server_options.h"
#include "qlarank/v1/model_service.pb.h"
#include "server/metrics/info_metrics.h"
#include "server/models/event_vocabulary.h"
#include "server/models/loaded_model.h"
#include "server/models/model_labels.h"
#include "state_store/state_store.h"

namespace qlarank {

// A version that operators are told of and requests do not reach.
struct UnservedModel {
  std::string name;
  uint64_t version;
  v1::ModelState state;
  std::string error;  // of one that is FAILED
  absl::Time since;
  // Of one that was served before a restart: what its states are stored under.
  std::string state_fingerprint = "";
};

class Registry {
 public:
  // Of more failures than this only the latest are remembered.
  static constexpr size_t kMostUnserved = 100;

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

  // A model that may join these, loaded as they were. Errors are those of Load.
  absl::StatusOr<LoadedModelPtr> LoadBeside(const ModelOptions& options,
                                            StateStore& store,
                                            InfoMetrics& metrics) const;
  // Its bundle, if LoadBeside would take it, or why it would not.
  absl::StatusOr<std::shared_ptr<const Bundle>> TryBeside(
      const ModelOptions& options) const;

  // The same, but for one thing. A model that joins is unserved no more.
  std::shared_ptr<const Registry> With(LoadedModelPtr model) const;
  // REQUIRES: it is not the default model, and no label points to it.
  std::shared_ptr<const Registry> Without(const LoadedModel& model) const;
  // REQUIRES: all of them point to models that are served.
  std::shared_ptr<const Registry> WithLabels(LabelsOfModels labels) const;
  // In place of what was said of that version.
  std::shared_ptr<const Registry> WithUnserved(UnservedModel model) const;
  std::shared_ptr<const Registry> WithoutUnserved(absl::string_view name,
                                                  uint64_t version) const;

  // What a request means. "" is the default model. Of a model 0 is what its label
  // "stable" points to; without one, of "" the default version, else the newest
  // of the configuration, and of those that came later if there is none. A
  // label that is given stands for the version that it points to.
  // With a user who is in the traffic of another label, that one is in the place
  // of "stable".
  // NOT_FOUND         names what was asked for
  // INVALID_ARGUMENT  both version and label
  absl::StatusOr<LoadedModelPtr> Resolve(absl::string_view name,
                                         uint64_t version,
                                         absl::string_view label = "",
                                         absl::string_view user_id = "") const;
  // The same of a request's fields.
  template <typename Request>
  absl::StatusOr<LoadedModelPtr> ResolveFor(const Request& request) const {
    absl::string_view user_id;
    if constexpr (requires { request.user_id(); }) user_id = request.user_id();
    return Resolve(request.model_name(), request.model_version(),
                   request.model_label(), user_id);
  }

  // Exactly this one; null when it is not served.
  LoadedModelPtr Find(absl::string_view name, uint64_t version) const;
  // Null when nothing is said of it.
  const UnservedModel* FindUnserved(absl::string_view name,
                                    uint64_t version) const;
  size_t CountUnserved(v1::ModelState state) const;
  // Whether any version of it is served.
  bool HasModel(absl::string_view name) const;
  // No labels, if it was never given any.
  const ModelLabels& LabelsOf(absl::string_view name) const;
  // Those that point to it, in order.
  std::vector<std::string> LabelsOf(const LoadedModel& model) const;

  const LabelsOfModels& labels() const { return labels_; }
  absl::Span<const UnservedModel> unserved() const { return unserved_; }
  // Those of the configuration first.
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

  std::shared_ptr<Registry> Copy() const {
    return std::shared_ptr<Registry>(new Registry(*this));
  }
  // Of a name, when neither version nor label is given.
  LoadedModelPtr Usual(absl::string_view name) const;
  void ForgetUnserved(absl::string_view name, uint64_t version);
  // Of the models that there are now.
  void LearnVocabulary();

  std::vector<LoadedModelPtr> models_;
  size_t num_configured_ = 0;  // of them
  LoadedModelPtr default_model_;
  UnknownActions unknown_actions_ = UnknownActions::kRefuse;
  std::optional<const EventVocabulary> vocabulary_;  // once it is loaded
  uint32_t event_schema_ = 0;
  LabelsOfModels labels_;
  std::vector<UnservedModel> unserved_;  // the latest news last
};

}  // namespace qlarank

#endif  // QLARANK_SERVER_MODELS_REGISTRY_H_
