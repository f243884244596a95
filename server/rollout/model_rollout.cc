#include "server/rollout/model_rollout.h"

#include <utility>

#include "absl/algorithm/container.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "server/models/load_engine.h"
#include "server/models/model_description.h"
#include "server/ops/logging.h"
#include "server/rollout/bundle_folder.h"
#include "server/rollout/label_changes.h"
#include "server/rollout/label_log.h"
#include "server/rollout/loaded_options.h"
#include "server/work/field_error.h"
#include "state_store/failpoint.h"

namespace qlarank {
namespace {

void LogState(absl::string_view name, uint64_t version,
              absl::string_view state) {
  LogInfo("a model's state",
          {{"model", name}, {"version", version}, {"state", state}});
}

bool IsOf(const LoadedByRequest& loaded, absl::string_view name,
          uint64_t version) {
  return loaded.name == name && loaded.version == version;
}

absl::Status MayGo(const Registry& registry, const std::string& name,
                   uint64_t version) {
  const LoadedModel& main = *registry.default_model();
  if (main.name == name && main.version == version) {
    return absl::FailedPreconditionError(absl::StrCat(
        ModelLabel(name, version),
        " is the configuration's default model, by which all others are "
        "measured"));
  }
  const ModelLabels& labels = registry.LabelsOf(name);
  std::vector<std::string> holding;
  for (const auto& [label, points_to] : labels.versions) {
    if (points_to == version) holding.push_back(label);
  }
  for (const v1::PendingLabel& move : DescribePending(labels, version)) {
    holding.push_back(absl::StrCat(move.label(), ", which waits"));
  }
  if (holding.empty()) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat(ModelLabel(name, version),
                   " has labels that point to it: ",
                   absl::StrJoin(holding, ", ")));
}

// What is known of a version that is not served, by what is remembered.
UnservedModel Unserved(const LoadedByRequest& wanted, v1::ModelState state,
                       absl::Span<const LoadedByRequest> remembered) {
  UnservedModel model = {wanted.name, wanted.version, state, /*error=*/"",
                         absl::Now(), wanted.state_fingerprint};
  for (const LoadedByRequest& one : remembered) {
    if (IsOf(one, wanted.name, wanted.version)) {
      model.state_fingerprint = one.state_fingerprint;
    }
  }
  return model;
}

// How long a label that is to move by itself, and may, is away from that.
constexpr absl::Duration kLabelPause = absl::Milliseconds(200);

}  // namespace

ModelRollout::ModelRollout(const Parts& parts, const ServerOptions& options)
    : parts_(parts),
      base_path_(options.model_base_path),
      max_added_items_(options.catalogue.max_added_items),
      configured_(options.models),
      memory_(options, parts.states) {
  for (const LoadedModelPtr& model : parts_.models.Current()->models()) {
    configured_fingerprints_[{model->name, model->version}] =
        model->engine->state_fingerprint();
  }
}

ModelRollout::~ModelRollout() {
  label_mover_ = nullptr;
  stop_.Notify();
  parts_.migrations.StopAll();
}

absl::Status ModelRollout::Remember(std::vector<LoadedByRequest> loaded,
                                    const LabelsOfModels& labels,
                                    AnsweredLabels answered) {
  QLARANK_FAILPOINT("rollout.before_remember");
  absl::Status written =
      WriteServedModels({loaded, labels, answered}, parts_.store);
  QLARANK_FAILPOINT("rollout.remembered");
  if (!written.ok()) return written;
  loaded_ = std::move(loaded);
  answered_ = std::move(answered);
  return written;
}

void ModelRollout::Replace(std::shared_ptr<const Registry> registry) {
  parts_.metrics.models.serving.Set(
      static_cast<double>(registry->models().size()));
  parts_.metrics.models.loading.Set(
      registry->CountUnserved(v1::MODEL_STATE_LOADING));
  parts_.metrics.models.draining.Set(
      registry->CountUnserved(v1::MODEL_STATE_DRAINING));
  parts_.metrics.models.failed.Set(
      registry->CountUnserved(v1::MODEL_STATE_FAILED));
  parts_.models.Replace(std::move(registry));
}

absl::Status ModelRollout::Resume() {
  absl::StatusOr<ServedModels> served = ReadServedModels(parts_.store);
  if (!served.ok()) return served.status();
  {
    absl::MutexLock lock(&mutex_);
    answered_ = std::move(served->answered);
  }
  for (const LoadedByRequest& wanted : served->loaded) {
    // The configuration may have it by now.
    if (parts_.models.Current()->Find(wanted.name, wanted.version) != nullptr) {
      continue;
    }
    const auto model = Bring(wanted, BundleFolder(base_path_, wanted));
    if (!model.ok()) Fail(wanted, model.status());
    {
      absl::MutexLock lock(&mutex_);
      loaded_.push_back(wanted);
      // Nobody folds for it what comes meanwhile.
      if (!model.ok()) loaded_.back().migrated = false;
      if (model.ok()) Replace(parts_.models.Current()->With(*model));
    }
    if (model.ok() && !wanted.migrated) Migrate(*model);
  }
  if (absl::Status valid = CheckLabels(served->labels); !valid.ok()) {
    return valid;
  }
  absl::MutexLock lock(&mutex_);
  if (loaded_ != served->loaded) {
    absl::Status remembered = Remember(loaded_, served->labels);
    if (!remembered.ok()) return remembered;
  }
  Replace(parts_.models.Current()->WithLabels(std::move(served->labels)));
  label_mover_ = std::make_unique<Periodic>(kLabelPause,
                                            [this] { MoveCoveredLabels(); });
  return absl::OkStatus();
}

absl::Status ModelRollout::CheckLabels(const LabelsOfModels& labels) const {
  const std::shared_ptr<const Registry> registry = parts_.models.Current();
  for (const auto& [name, of_model] : labels) {
    for (const auto& [label, version] : of_model.versions) {
      if (registry->Find(name, version) != nullptr) continue;
      const UnservedModel* failed = registry->FindUnserved(name, version);
      return absl::FailedPreconditionError(absl::StrCat(
          "the label ", Quoted(label), " points to ", ModelLabel(name, version),
          failed == nullptr
              ? ", which the configuration does not have"
              : absl::StrCat(", which could not be loaded: ", failed->error),
          "; add it to models, with the path of its bundle"));
    }
  }
  return absl::OkStatus();
}

// -- Loading ------------------------------------------------------------------

absl::StatusOr<LoadedModelPtr> ModelRollout::Bring(
    const LoadedByRequest& wanted,
    const absl::StatusOr<std::string>& folder) {
  if (!folder.ok()) return folder.status();
  {
    absl::MutexLock lock(&mutex_);
    Replace(parts_.models.Current()->WithUnserved(
        Unserved(wanted, v1::MODEL_STATE_LOADING, loaded_)));
  }
  LogState(wanted.name, wanted.version, "loading");
  const ModelOptions options =
      OptionsOfLoaded(wanted, *folder, configured_, max_added_items_);
  const absl::Status room = memory_.Take(options);
  if (!room.ok()) return room;
  absl::StatusOr<LoadedModelPtr> model = parts_.models.Current()->LoadBeside(
      options, parts_.store, parts_.metrics.info);
  if (!model.ok()) {
    memory_.GiveBack(wanted.name, wanted.version);
    return model;
  }
  // Before anybody folds for it.
  absl::Status joined = parts_.catalogue.Join(wanted.name, wanted.version,
                                              (*model)->engine);
  if (!joined.ok()) {
    parts_.metrics.info.ModelUnloaded(wanted.name, wanted.version);
    memory_.GiveBack(wanted.name, wanted.version);
    return joined;
  }
  parts_.partitions.AddModel(*model);
  parts_.rank_models.Of(*model);
  return model;
}

void ModelRollout::Migrate(const LoadedModelPtr& model) {
  parts_.migrations.Begin(
      model, [this, name = model->name, version = model->version] {
        NoteMigrated(name, version);
      });
}

void ModelRollout::NoteMigrated(const std::string& name, uint64_t version) {
  // What it says must not outlive the snapshots.
  absl::Status status = parts_.store.Flush();
  absl::MutexLock lock(&mutex_);
  std::vector<LoadedByRequest> loaded = loaded_;
  for (LoadedByRequest& one : loaded) {
    if (IsOf(one, name, version)) one.migrated = true;
  }
  if (status.ok()) {
    status = Remember(std::move(loaded), parts_.models.Current()->labels());
  }
  if (status.ok()) return;
  LogWarning("a migration is not remembered, and begins again at a restart",
             {{"model", name}, {"version", version}, {"error", status}});
}

void ModelRollout::LetGo(const LoadedModel& model) {
  parts_.migrations.End(model);
  parts_.partitions.RemoveModel(model);
  parts_.catalogue.Leave(model.name, model.version);
  parts_.rank_models.LetGo(model);
  parts_.states.LetGo(model);
  parts_.metrics.info.ModelUnloaded(model.name, model.version);
}

void ModelRollout::Fail(const LoadedByRequest& wanted,
                        const absl::Status& why) {
  LogError("a model could not be loaded", {{"model", wanted.name},
                                           {"version", wanted.version},
                                           {"error", why}});
  absl::MutexLock lock(&mutex_);
  UnservedModel failed =
      Unserved(wanted, v1::MODEL_STATE_FAILED, loaded_);
  failed.error = std::string(why.message());
  Replace(parts_.models.Current()->WithUnserved(std::move(failed)));
}

absl::Status ModelRollout::Join(const LoadedModelPtr& model,
                                const LoadedByRequest& wanted,
                                const v1::SetLabelRequest* label) {
  absl::MutexLock lock(&mutex_);
  std::shared_ptr<const Registry> registry =
      parts_.models.Current()->With(model);
  std::vector<LoadedByRequest> loaded = loaded_;
  std::erase_if(loaded, [&](const LoadedByRequest& other) {
    return IsOf(other, wanted.name, wanted.version);
  });
  loaded.push_back(wanted);
  loaded.back().state_fingerprint = model->engine->state_fingerprint();
  if (label != nullptr) registry = WithLabelOfFolder(registry, *label);
  absl::Status remembered = Remember(std::move(loaded), registry->labels());
  if (!remembered.ok()) return remembered;
  if (registry->labels() != parts_.models.Current()->labels()) {
    LogLabels(wanted.name, registry->LabelsOf(wanted.name), "folder");
  }
  // Before anybody asks how many users it covers.
  Migrate(model);
  Replace(std::move(registry));
  return absl::OkStatus();
}

std::shared_ptr<const Registry> ModelRollout::WithLabelOfFolder(
    std::shared_ptr<const Registry> registry,
    const v1::SetLabelRequest& request) {
  const std::string& name = request.model_name();
  absl::StatusOr<ModelLabels> changed =
      ChangedForFolder(*registry, request, request.min_coverage());
  if (!changed.ok()) {
    LogWarning("a label does not wait for a version that was loaded",
               {{"model", name},
                {"version", request.model_version()},
                {"error", changed.status()}});
    return registry;
  }
  if (*changed == registry->LabelsOf(name)) return registry;
  LabelsOfModels labels = registry->labels();
  labels[name] = *std::move(changed);
  return registry->WithLabels(std::move(labels));
}

absl::Status ModelRollout::TryOut(const ModelOptions& options) const {
  const auto bundle = parts_.models.Current()->TryBeside(options);
  if (!bundle.ok()) return bundle.status();
  return parts_.catalogue.CheckRoom(options.name, options.version, **bundle,
                                    options.max_added_items);
}

absl::Status ModelRollout::Load(const v1::LoadModelRequest& request,
                                const v1::SetLabelRequest* label,
                                v1::LoadModelResponse& response) {
  const LoadedByRequest wanted = {request.model_name(), request.model_version(),
                                  request.path()};
  const absl::StatusOr<std::string> folder = BundleFolder(base_path_, wanted);
  if (!folder.ok()) return folder.status();
  if (parts_.models.Current()->Find(wanted.name, wanted.version) != nullptr) {
    return absl::AlreadyExistsError(absl::StrCat(
        ModelLabel(wanted.name, wanted.version), " is served already"));
  }
  response.mutable_model()->set_name(wanted.name);
  response.mutable_model()->set_version(wanted.version);
  if (request.validate_only()) {
    return TryOut(
        OptionsOfLoaded(wanted, *folder, configured_, max_added_items_));
  }
  const absl::StatusOr<LoadedModelPtr> model = Bring(wanted, folder);
  absl::Status status = model.status();
  if (status.ok()) {
    status = Join(*model, wanted, label);
    if (!status.ok()) {
      LetGo(**model);
      memory_.GiveBack(wanted.name, wanted.version);
    }
  }
  if (!status.ok()) {
    parts_.metrics.models.loads_failed.Increment();
    Fail(wanted, status);
    return status;
  }
  parts_.metrics.models.loads_ok.Increment();
  LogState(wanted.name, wanted.version, "serving");
  *response.mutable_model() =
      DescribeModel(**model, *parts_.models.Current());
  return absl::OkStatus();
}

void ModelRollout::Start(const v1::LoadModelRequest& request,
                         v1::LoadModelResponse& response, Done done) {
  Submit(
      loads_,
      [this, &request, &response] {
        return Load(request, /*label=*/nullptr, response);
      },
      std::move(done));
}

void ModelRollout::StartForFolder(const v1::LoadModelRequest& request,
                                  const v1::SetLabelRequest& label,
                                  v1::LoadModelResponse& response, Done done) {
  Submit(
      loads_,
      [this, &request, &label, &response] {
        return Load(request, label.label().empty() ? nullptr : &label,
                    response);
      },
      std::move(done));
}

// -- Unloading ----------------------------------------------------------------

absl::StatusOr<LoadedModelPtr> ModelRollout::Withdraw(
    const v1::UnloadModelRequest& request) {
  const std::string& name = request.model_name();
  const uint64_t version = request.model_version();
  absl::MutexLock lock(&mutex_);
  const std::shared_ptr<const Registry> registry = parts_.models.Current();
  const LoadedModelPtr model = registry->Find(name, version);
  if (model == nullptr && registry->FindUnserved(name, version) == nullptr) {
    return absl::NotFoundError(absl::StrCat(
        "model_version: ", version, "; no version of this number of model ",
        Quoted(name), " is loaded"));
  }
  if (absl::Status may = MayGo(*registry, name, version); !may.ok()) return may;
  if (model == nullptr && request.drop_states()) {
    return absl::FailedPreconditionError(
        absl::StrCat("drop_states: true; ", ModelLabel(name, version),
                     " is not served, so which states are its own is not "
                     "known"));
  }
  if (request.validate_only()) return model;
  std::vector<LoadedByRequest> loaded = loaded_;
  std::erase_if(loaded, [&](const LoadedByRequest& other) {
    return IsOf(other, name, version);
  });
  if (loaded != loaded_) {
    absl::Status remembered = Remember(std::move(loaded), registry->labels());
    if (!remembered.ok()) return remembered;
  }
  if (model == nullptr) {
    Replace(registry->WithoutUnserved(name, version));
  } else {
    Replace(registry->Without(*model)->WithUnserved(
        {name, version, v1::MODEL_STATE_DRAINING, "", absl::Now()}));
  }
  return model;
}

void ModelRollout::Drain(LoadedModelPtr model) {
  LetGo(*model);
  // The model's, and that of snapshots which are still to be written.
  const std::weak_ptr<const Engine> last = model->engine;
  model = nullptr;
  while (!last.expired() &&
         !stop_.WaitForNotificationWithTimeout(absl::Milliseconds(5))) {
  }
}

std::string ModelRollout::WhoElseHas(const std::string& fingerprint,
                                     const ModelId& id) const {
  const std::shared_ptr<const Registry> registry = parts_.models.Current();
  for (const LoadedModelPtr& model : registry->models()) {
    if (ModelId(model->name, model->version) != id &&
        model->engine->state_fingerprint() == fingerprint) {
      return absl::StrCat(model->name, "/", model->version);
    }
  }
  for (const UnservedModel& model : registry->unserved()) {
    if (ModelId(model.name, model.version) != id &&
        model.state_fingerprint == fingerprint) {
      return absl::StrCat(model.name, "/", model.version);
    }
  }
  for (const auto& [configured, of_configured] : configured_fingerprints_) {
    if (configured != id && of_configured == fingerprint) {
      return absl::StrCat(configured.first, "/", configured.second);
    }
  }
  return "";
}

absl::Status ModelRollout::DropStates(const std::string& fingerprint) {
  if (stop_.HasBeenNotified()) return absl::UnavailableError("stopping");
  QLARANK_FAILPOINT("rollout.before_drop");
  const absl::Status dropped = parts_.store.DropFingerprint(fingerprint);
  QLARANK_FAILPOINT("rollout.dropped");
  if (!dropped.ok()) {
    return absl::UnavailableError(absl::StrCat(
        "unloaded, but its states are there still: ", dropped.message()));
  }
  LogInfo("states were dropped", {{"fingerprint", fingerprint}});
  return absl::OkStatus();
}

absl::Status ModelRollout::Unload(const v1::UnloadModelRequest& request,
                                  v1::UnloadModelResponse& response) {
  absl::StatusOr<LoadedModelPtr> model = Withdraw(request);
  if (!model.ok()) return model.status();
  std::string dropped;
  if (request.drop_states()) {
    dropped = (*model)->engine->state_fingerprint();
    response.set_states_kept_for(WhoElseHas(
        dropped, {request.model_name(), request.model_version()}));
    response.set_states_dropped(response.states_kept_for().empty());
  }
  if (request.validate_only()) return absl::OkStatus();
  if (*model != nullptr) {
    LogState(request.model_name(), request.model_version(), "draining");
    Drain(*std::exchange(model, LoadedModelPtr()));
    memory_.GiveBack(request.model_name(), request.model_version());
    absl::MutexLock lock(&mutex_);
    Replace(parts_.models.Current()->WithoutUnserved(request.model_name(),
                                                     request.model_version()));
  }
  LogState(request.model_name(), request.model_version(), "unloaded");
  return response.states_dropped() ? DropStates(dropped) : absl::OkStatus();
}

void ModelRollout::Start(const v1::UnloadModelRequest& request,
                         v1::UnloadModelResponse& response, Done done) {
  Submit(
      loads_,
      [this, &request, &response] { return Unload(request, response); },
      std::move(done));
}

std::vector<LoadedByRequest> ModelRollout::loaded() {
  absl::MutexLock lock(&mutex_);
  return loaded_;
}

}  // namespace qlarank
