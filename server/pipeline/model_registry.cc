#include "server/pipeline/model_registry.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "server/pipeline/field_error.h"
#include "server/pipeline/load_engine.h"

namespace qlarank {
namespace {

absl::StatusOr<std::unique_ptr<ServedModel>> Serve(
    const ModelOptions& options, const ModelRegistry::Environment& environment,
    const UserMemory::Options& memory_options) {
  auto engine = LoadEngine(options);
  if (!engine.ok()) return engine.status();
  auto model = std::make_unique<ServedModel>();
  model->name = options.name;
  model->version = options.version;
  model->engine = *std::move(engine);
  if (absl::Status status =
          environment.store.OpenFingerprint(model->engine->state_fingerprint());
      !status.ok()) {
    return status;
  }
  for (size_t i = 0; i < environment.scoring_threads; ++i) {
    model->worker_scratch.push_back(model->engine->NewScratch());
  }
  Metrics& metrics = environment.metrics;
  model->metrics = &metrics.rank.ForModel(options.name, options.version);
  metrics.info.ModelLoaded(options.name, options.version,
                           model->engine->state_fingerprint(),
                           model->engine->empty_state()->size_bytes());
  model->memory =
      std::make_unique<UserMemory>(*model->engine, environment.store,
                                   environment.locks, metrics, memory_options);
  model->folder = std::make_unique<Folder>(*model->memory, metrics,
                                           environment.fold_threads);
  return model;
}

// Whether an event can be one of both models.
absl::Status CheckCompatible(const Bundle& a, const Bundle& b,
                             absl::string_view default_action) {
  if (a.spec().event_features_size() != b.spec().event_features_size()) {
    return absl::FailedPreconditionError(absl::StrCat(
        "it has ", b.spec().event_features_size(), " event features, and ",
        ModelLabel(a.spec().name(), a.spec().version()), " has ",
        a.spec().event_features_size(),
        "; models served together must take the same events"));
  }
  if (b.ActionIndex(default_action) == Bundle::kUnknownAction) {
    return absl::FailedPreconditionError(
        absl::StrCat("it does not know the default model's first action ",
                     Quoted(default_action)));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::unique_ptr<ModelRegistry>> ModelRegistry::Load(
    absl::Span<const ModelOptions> options, const Environment& environment) {
  if (options.empty()) {
    return absl::InvalidArgumentError("models: none; at least one is needed");
  }
  auto registry = std::unique_ptr<ModelRegistry>(new ModelRegistry);
  UserMemory::Options memory_options;
  memory_options.cache_bytes = environment.user_cache_bytes / options.size();
  memory_options.snapshot_interval = environment.snapshot_interval;
  for (const ModelOptions& model : options) {
    auto served = Serve(model, environment, memory_options);
    if (!served.ok()) {
      return Within(absl::StrCat(ModelLabel(model.name, model.version), ": "),
                    served.status());
    }
    registry->bundles_.push_back(&(*served)->bundle());
    registry->models_.push_back(*std::move(served));
    if (registry->default_model_ == nullptr || model.default_model) {
      registry->default_model_ = registry->models_.back().get();
    }
  }
  const Bundle& main = registry->default_model_->bundle();
  if (main.spec().actions_size() > 0) {
    registry->default_action_ = main.spec().actions(0);
  }
  for (const auto& model : registry->models_) {
    if (absl::Status status =
            CheckCompatible(main, model->bundle(), registry->default_action_);
        !status.ok()) {
      return Within(absl::StrCat(ModelLabel(model->name, model->version), ": "),
                    status);
    }
  }
  return registry;
}

absl::StatusOr<ServedModel*> ModelRegistry::Resolve(absl::string_view name,
                                                    uint64_t version) const {
  if (name.empty() && version == 0) return default_model_;
  if (name.empty()) name = default_model_->name;
  ServedModel* newest = nullptr;
  for (const auto& model : models_) {
    if (model->name != name) continue;
    if (model->version == version) return model.get();
    if (newest == nullptr || model->version > newest->version) {
      newest = model.get();
    }
  }
  if (newest == nullptr) {
    return absl::NotFoundError(
        absl::StrCat("model_name: ", Quoted(name), "; no such model"));
  }
  if (version != 0) {
    return absl::NotFoundError(absl::StrCat("model_version: ", version,
                                            "; model ", Quoted(name),
                                            " has no such version"));
  }
  return newest;
}

}  // namespace qlarank
