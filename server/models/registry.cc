#include "server/models/registry.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "server/models/load_engine.h"
#include "server/ops/logging.h"
#include "server/work/field_error.h"

namespace qlarank {
namespace {

absl::StatusOr<LoadedModelPtr> Serve(const ModelOptions& options,
                                     std::shared_ptr<const Engine> engine,
                                     StateStore& store, InfoMetrics& metrics) {
  auto features =
      EventFeatures::Of(store, engine->bundle().spec().event_features());
  if (!features.ok()) return features.status();
  absl::Status opened = store.OpenFingerprint(engine->state_fingerprint());
  if (!opened.ok()) return opened;
  metrics.ModelLoaded(options.name, options.version,
                      engine->state_fingerprint(),
                      PrecisionName(engine->precision()),
                      engine->empty_state()->size_bytes());
  return MakeLoadedModel(options.name, options.version, std::move(engine),
                         *std::move(features), absl::Now());
}

void LogGaps(const LoadedModel& model, const EventVocabulary& vocabulary) {
  const EventVocabulary::Gaps gaps = vocabulary.GapsOf(model.bundle());
  if (gaps.actions.empty() && gaps.features.empty()) return;
  LogWarning("the model and the events differ",
             {{"model", model.name},
              {"version", model.version},
              {"unknown_actions", absl::StrJoin(gaps.actions, ", ")},
              {"missing_features", absl::StrJoin(gaps.features, ", ")}});
}

absl::Status OfModel(const ModelOptions& model, const absl::Status& status) {
  return Within(absl::StrCat(ModelLabel(model.name, model.version), ": "),
                status);
}

}  // namespace

absl::StatusOr<std::shared_ptr<const Registry>> Registry::Load(
    absl::Span<const ModelOptions> options, StateStore& store,
    InfoMetrics& metrics, UnknownActions unknown) {
  if (options.empty()) {
    return absl::InvalidArgumentError("models: none; at least one is needed");
  }
  auto registry = std::shared_ptr<Registry>(new Registry);
  // All of them first: where they find features depends on the default one.
  std::vector<std::shared_ptr<const Engine>> engines;
  size_t default_index = 0;
  for (const ModelOptions& model : options) {
    auto engine = LoadEngine(model);
    if (!engine.ok()) return OfModel(model, engine.status());
    if (model.default_model) default_index = engines.size();
    engines.push_back(*std::move(engine));
  }
  const model::v1::ModelSpec& main = engines[default_index]->bundle().spec();
  const absl::StatusOr<uint32_t> schema = store.PutSchema(
      {main.event_features().begin(), main.event_features().end()});
  if (!schema.ok()) return schema.status();
  registry->event_schema_ = *schema;

  for (size_t i = 0; i < options.size(); ++i) {
    auto served = Serve(options[i], std::move(engines[i]), store, metrics);
    if (!served.ok()) return OfModel(options[i], served.status());
    registry->models_.push_back(*std::move(served));
  }
  registry->default_model_ = registry->models_[default_index];
  registry->vocabulary_.emplace(registry->models_, *registry->default_model_,
                                unknown);
  for (const LoadedModelPtr& model : registry->models_) {
    LogGaps(*model, *registry->vocabulary_);
  }
  return std::shared_ptr<const Registry>(std::move(registry));
}

absl::StatusOr<LoadedModelPtr> Registry::Resolve(absl::string_view name,
                                                 uint64_t version) const {
  if (name.empty() && version == 0) return default_model_;
  if (name.empty()) name = default_model_->name;
  LoadedModelPtr newest;
  for (const LoadedModelPtr& model : models_) {
    if (model->name != name) continue;
    if (model->version == version) return model;
    if (newest == nullptr || model->version > newest->version) {
      newest = model;
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
