#include "server/models/registry.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "server/models/load_engine.h"
#include "server/ops/logging.h"
#include "server/work/field_error.h"
#include "server/work/stand_back.h"

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
  registry->num_configured_ = registry->models_.size();
  registry->default_model_ = registry->models_[default_index];
  registry->unknown_actions_ = unknown;
  registry->LearnVocabulary();
  for (const LoadedModelPtr& model : registry->models_) {
    LogGaps(*model, *registry->vocabulary_);
  }
  return std::shared_ptr<const Registry>(std::move(registry));
}

absl::StatusOr<LoadedModelPtr> Registry::LoadBeside(
    const ModelOptions& options, StateStore& store,
    InfoMetrics& metrics) const {
  auto engine = StandingBack([&] { return LoadEngine(options); });
  if (!engine.ok()) return OfModel(options, engine.status());
  auto served = Serve(options, *std::move(engine), store, metrics);
  if (!served.ok()) return OfModel(options, served.status());
  return served;
}

absl::StatusOr<std::shared_ptr<const Bundle>> Registry::TryBeside(
    const ModelOptions& options) const {
  auto bundle = StandingBack([&] { return TryModel(options); });
  if (!bundle.ok()) return OfModel(options, bundle.status());
  return bundle;
}

void Registry::LearnVocabulary() {
  vocabulary_.emplace(models_, *default_model_, unknown_actions_);
}

std::shared_ptr<const Registry> Registry::With(LoadedModelPtr model) const {
  auto changed = Copy();
  changed->ForgetUnserved(model->name, model->version);
  changed->models_.push_back(std::move(model));
  changed->LearnVocabulary();
  LogGaps(*changed->models_.back(), changed->vocabulary());
  return changed;
}

std::shared_ptr<const Registry> Registry::Without(
    const LoadedModel& model) const {
  auto changed = Copy();
  for (size_t i = 0; i < models_.size(); ++i) {
    if (models_[i].get() != &model) continue;
    changed->models_.erase(changed->models_.begin() + i);
    if (i < num_configured_) --changed->num_configured_;
  }
  changed->LearnVocabulary();
  return changed;
}

std::shared_ptr<const Registry> Registry::WithLabels(
    LabelsOfModels labels) const {
  auto changed = Copy();
  changed->labels_ = std::move(labels);
  return changed;
}

std::shared_ptr<const Registry> Registry::WithUnserved(
    UnservedModel model) const {
  auto changed = Copy();
  changed->ForgetUnserved(model.name, model.version);
  changed->unserved_.push_back(std::move(model));
  const auto oldest = std::find_if(
      changed->unserved_.begin(), changed->unserved_.end(),
      [](const UnservedModel& other) {
        return other.state == v1::MODEL_STATE_FAILED;
      });
  if (changed->unserved_.size() > kMostUnserved) {
    changed->unserved_.erase(oldest);  // others are few
  }
  return changed;
}

std::shared_ptr<const Registry> Registry::WithoutUnserved(
    absl::string_view name, uint64_t version) const {
  auto changed = Copy();
  changed->ForgetUnserved(name, version);
  return changed;
}

void Registry::ForgetUnserved(absl::string_view name, uint64_t version) {
  std::erase_if(unserved_, [&](const UnservedModel& model) {
    return model.name == name && model.version == version;
  });
}

LoadedModelPtr Registry::Find(absl::string_view name, uint64_t version) const {
  for (const LoadedModelPtr& model : models_) {
    if (model->name == name && model->version == version) return model;
  }
  return nullptr;
}

const UnservedModel* Registry::FindUnserved(absl::string_view name,
                                            uint64_t version) const {
  for (const UnservedModel& model : unserved_) {
    if (model.name == name && model.version == version) return &model;
  }
  return nullptr;
}

size_t Registry::CountUnserved(v1::ModelState state) const {
  return std::count_if(
      unserved_.begin(), unserved_.end(),
      [state](const UnservedModel& model) { return model.state == state; });
}

bool Registry::HasModel(absl::string_view name) const {
  return std::any_of(
      models_.begin(), models_.end(),
      [name](const LoadedModelPtr& model) { return model->name == name; });
}

const ModelLabels& Registry::LabelsOf(absl::string_view name) const {
  static const ModelLabels& none = *new ModelLabels;
  const auto found = labels_.find(name);
  return found == labels_.end() ? none : found->second;
}

std::vector<std::string> Registry::LabelsOf(const LoadedModel& model) const {
  std::vector<std::string> labels;
  for (const auto& [label, version] : LabelsOf(model.name).versions) {
    if (version == model.version) labels.push_back(label);
  }
  return labels;
}

LoadedModelPtr Registry::Usual(absl::string_view name) const {
  LoadedModelPtr newest;
  for (size_t i = 0; i < models_.size(); ++i) {
    // What is loaded while the server runs moves nobody who did not ask for it.
    if (i == num_configured_ && newest != nullptr) break;
    if (models_[i]->name != name) continue;
    if (newest == nullptr || models_[i]->version > newest->version) {
      newest = models_[i];
    }
  }
  return newest;
}

absl::StatusOr<LoadedModelPtr> Registry::Resolve(
    absl::string_view name, uint64_t version, absl::string_view label,
    absl::string_view user_id) const {
  if (version != 0 && !label.empty()) {
    return FieldError("model_label", Quoted(label),
                      absl::StrCat("has a model_version beside it, ", version,
                                   ": give one of them"));
  }
  const bool is_usual = version == 0 && label.empty();
  const bool is_default = name.empty();
  if (is_default) name = default_model_->name;
  if (!HasModel(name)) {
    return absl::NotFoundError(
        absl::StrCat("model_name: ", Quoted(name), "; no such model"));
  }
  const ModelLabels& labels = LabelsOf(name);
  if (is_usual) label = labels.LabelFor(name, user_id);
  if (version == 0) version = labels.VersionOf(label);
  if (LoadedModelPtr model = Find(name, version); model != nullptr) {
    return model;
  }
  if (is_usual) return is_default ? default_model_ : Usual(name);
  if (version == 0) {
    return absl::NotFoundError(absl::StrCat(
        "model_label: ", Quoted(label), "; model ", Quoted(name),
        " has no such label"));
  }
  return absl::NotFoundError(absl::StrCat("model_version: ", version,
                                          "; model ", Quoted(name),
                                          " has no such version"));
}

}  // namespace qlarank
