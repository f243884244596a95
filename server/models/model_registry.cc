#include "server/models/model_registry.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/models/load_engine.h"
#include "server/work/field_error.h"

namespace qlarank {
namespace {

absl::StatusOr<std::unique_ptr<ServedModel>> Serve(
    const ModelOptions& options, std::unique_ptr<const Engine> engine,
    const ModelRegistry::Environment& environment,
    UserMemory::Options memory_options) {
  auto features = EventFeatures::Of(
      environment.store, engine->bundle().spec().event_features());
  if (!features.ok()) return features.status();
  memory_options.features = *std::move(features);
  auto model = std::make_unique<ServedModel>();
  model->name = options.name;
  model->version = options.version;
  model->engine = std::move(engine);
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
  model->memory = std::make_unique<UserMemory>(
      *model->engine, environment.store, metrics, memory_options);
  return model;
}

// Whether an event can be one of both models: requests name no features, so they
// are the default model's.
absl::Status CheckCompatible(const Bundle& a, const Bundle& b,
                             absl::string_view default_action) {
  const auto& wanted = b.spec().event_features();
  const auto& given = a.spec().event_features();
  for (const std::string& feature : wanted) {
    if (std::count(given.begin(), given.end(), feature) > 0) continue;
    return absl::FailedPreconditionError(absl::StrCat(
        "its event feature ", Quoted(feature), " is not one of the default ",
        ModelLabel(a.spec().name(), a.spec().version()),
        ", whose features events have"));
  }
  if (given.size() != wanted.size()) {
    return absl::FailedPreconditionError(absl::StrCat(
        "it has ", wanted.size(), " event features, and ",
        ModelLabel(a.spec().name(), a.spec().version()), " has ", given.size(),
        "; models served together must take the same events"));
  }
  if (b.ActionIndex(default_action) == Bundle::kUnknownAction) {
    return absl::FailedPreconditionError(
        absl::StrCat("it does not know the default model's first action ",
                     Quoted(default_action)));
  }
  return absl::OkStatus();
}

absl::Status OfModel(const ModelOptions& model, const absl::Status& status) {
  return Within(absl::StrCat(ModelLabel(model.name, model.version), ": "),
                status);
}

}  // namespace

absl::StatusOr<std::unique_ptr<ModelRegistry>> ModelRegistry::Load(
    absl::Span<const ModelOptions> options, const Environment& environment) {
  if (options.empty()) {
    return absl::InvalidArgumentError("models: none; at least one is needed");
  }
  auto registry = std::unique_ptr<ModelRegistry>(new ModelRegistry);
  // All of them first: what they take of events depends on the default one.
  std::vector<std::unique_ptr<const Engine>> engines;
  size_t default_index = 0;
  for (const ModelOptions& model : options) {
    auto engine = LoadEngine(model);
    if (!engine.ok()) return OfModel(model, engine.status());
    if (model.default_model) default_index = engines.size();
    engines.push_back(*std::move(engine));
  }
  const model::v1::ModelSpec& main = engines[default_index]->bundle().spec();
  if (main.actions_size() > 0) registry->default_action_ = main.actions(0);
  for (size_t i = 0; i < options.size(); ++i) {
    const absl::Status compatible =
        CheckCompatible(engines[default_index]->bundle(), engines[i]->bundle(),
                        registry->default_action_);
    if (!compatible.ok()) return OfModel(options[i], compatible);
  }
  const absl::StatusOr<uint32_t> schema = environment.store.PutSchema(
      {main.event_features().begin(), main.event_features().end()});
  if (!schema.ok()) return schema.status();
  registry->event_schema_ = *schema;

  UserMemory::Options memory_options;
  memory_options.cache_bytes = environment.user_cache_bytes / options.size();
  memory_options.snapshot_interval = environment.snapshot_interval;
  for (size_t i = 0; i < options.size(); ++i) {
    auto served =
        Serve(options[i], std::move(engines[i]), environment, memory_options);
    if (!served.ok()) return OfModel(options[i], served.status());
    registry->bundles_.push_back(&(*served)->bundle());
    registry->models_.push_back(*std::move(served));
  }
  registry->default_model_ = registry->models_[default_index].get();
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
