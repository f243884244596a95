#include "server/rollout/model_rollout.h"

#include <type_traits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "server/models/load_engine.h"
#include "server/models/model_description.h"
#include "server/ops/logging.h"
#include "server/rollout/bundle_folder.h"
#include "server/rollout/label_changes.h"
#include "server/work/field_error.h"

namespace qlarank {
namespace {

void LogState(absl::string_view name, uint64_t version,
              absl::string_view state) {
  LogInfo("a model's state",
          {{"model", name}, {"version", version}, {"state", state}});
}

UnservedModel Unserved(const LoadedByRequest& wanted, v1::ModelState state) {
  return {wanted.name, wanted.version, state, /*error=*/"", absl::Now()};
}

bool IsOf(const LoadedByRequest& loaded, absl::string_view name,
          uint64_t version) {
  return loaded.name == name && loaded.version == version;
}

absl::Status MayGo(const Registry& registry, const LoadedModel& model) {
  if (&model == registry.default_model().get()) {
    return absl::FailedPreconditionError(absl::StrCat(
        ModelLabel(model.name, model.version),
        " is the configuration's default model, by which all others are "
        "measured"));
  }
  const std::vector<std::string> labels = registry.LabelsOf(model);
  if (labels.empty()) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat(ModelLabel(model.name, model.version),
                   " has labels that point to it: ",
                   absl::StrJoin(labels, ", ")));
}

}  // namespace

ModelRollout::ModelRollout(const Parts& parts, const ServerOptions& options)
    : parts_(parts),
      base_path_(options.model_base_path),
      max_added_items_(options.catalogue.max_added_items),
      configured_(options.models) {}

ModelRollout::~ModelRollout() {
  stop_.Notify();
  parts_.migrations.StopAll();
}

absl::Status ModelRollout::Remember(std::vector<LoadedByRequest> loaded,
                                    const LabelsOfModels& labels) {
  absl::Status written =
      WriteServedModels({loaded, labels}, parts_.store);
  if (written.ok()) loaded_ = std::move(loaded);
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

ModelOptions ModelRollout::OptionsOf(const LoadedByRequest& wanted,
                                     const std::string& folder) const {
  ModelOptions options;
  for (const ModelOptions& configured : configured_) {
    if (configured.name == wanted.name) options = configured;
  }
  options.name = wanted.name;
  options.version = wanted.version;
  options.path = folder;
  options.expected_fingerprint.clear();
  options.default_model = false;
  options.max_added_items = max_added_items_;
  return options;
}

absl::StatusOr<LoadedModelPtr> ModelRollout::Bring(
    const LoadedByRequest& wanted,
    const absl::StatusOr<std::string>& folder) {
  if (!folder.ok()) return folder.status();
  {
    absl::MutexLock lock(&mutex_);
    Replace(parts_.models.Current()->WithUnserved(
        Unserved(wanted, v1::MODEL_STATE_LOADING)));
  }
  LogState(wanted.name, wanted.version, "loading");
  absl::StatusOr<LoadedModelPtr> model = parts_.models.Current()->LoadBeside(
      OptionsOf(wanted, *folder), parts_.store, parts_.metrics.info);
  if (!model.ok()) return model;
  // Before anybody folds for it.
  absl::Status joined = parts_.catalogue.Join(wanted.name, wanted.version,
                                              (*model)->engine);
  if (!joined.ok()) {
    parts_.metrics.info.ModelUnloaded(wanted.name, wanted.version);
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
  UnservedModel failed = Unserved(wanted, v1::MODEL_STATE_FAILED);
  failed.error = std::string(why.message());
  absl::MutexLock lock(&mutex_);
  Replace(parts_.models.Current()->WithUnserved(std::move(failed)));
}

absl::Status ModelRollout::Join(const LoadedModelPtr& model,
                                const LoadedByRequest& wanted) {
  absl::MutexLock lock(&mutex_);
  const std::shared_ptr<const Registry> registry = parts_.models.Current();
  std::vector<LoadedByRequest> loaded = loaded_;
  std::erase_if(loaded, [&](const LoadedByRequest& other) {
    return IsOf(other, wanted.name, wanted.version);
  });
  loaded.push_back(wanted);
  absl::Status remembered = Remember(std::move(loaded), registry->labels());
  if (remembered.ok()) Replace(registry->With(model));
  return remembered;
}

absl::Status ModelRollout::TryOut(const ModelOptions& options) const {
  absl::Status status = parts_.models.Current()->TryBeside(options);
  if (!status.ok()) return status;
  const auto bundle = LoadBundle(options);
  if (!bundle.ok()) return bundle.status();
  return parts_.catalogue.CheckRoom(options.name, options.version, **bundle,
                                    options.max_added_items);
}

absl::Status ModelRollout::Load(const v1::LoadModelRequest& request,
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
    return TryOut(OptionsOf(wanted, *folder));
  }
  const absl::StatusOr<LoadedModelPtr> model = Bring(wanted, folder);
  absl::Status status = model.status();
  if (status.ok()) {
    status = Join(*model, wanted);
    if (!status.ok()) LetGo(**model);
  }
  if (!status.ok()) {
    parts_.metrics.models.loads_failed.Increment();
    Fail(wanted, status);
    return status;
  }
  parts_.metrics.models.loads_ok.Increment();
  LogState(wanted.name, wanted.version, "serving");
  Migrate(*model);
  *response.mutable_model() =
      DescribeModel(**model, *parts_.models.Current());
  return absl::OkStatus();
}

void ModelRollout::Start(const v1::LoadModelRequest& request,
                         v1::LoadModelResponse& response, Done done) {
  Submit(
      loads_, [this, &request, &response] { return Load(request, response); },
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
  if (model != nullptr) {
    if (absl::Status may = MayGo(*registry, *model); !may.ok()) return may;
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

absl::Status ModelRollout::Unload(const v1::UnloadModelRequest& request) {
  absl::StatusOr<LoadedModelPtr> model = Withdraw(request);
  if (!model.ok() || request.validate_only()) return model.status();
  if (*model != nullptr) {
    LogState(request.model_name(), request.model_version(), "draining");
    Drain(*std::exchange(model, LoadedModelPtr()));
    absl::MutexLock lock(&mutex_);
    Replace(parts_.models.Current()->WithoutUnserved(request.model_name(),
                                                     request.model_version()));
  }
  LogState(request.model_name(), request.model_version(), "unloaded");
  return absl::OkStatus();
}

void ModelRollout::Start(const v1::UnloadModelRequest& request,
                         v1::UnloadModelResponse& /*response*/, Done done) {
  Submit(
      loads_, [this, &request] { return Unload(request); }, std::move(done));
}

// -- Labels -------------------------------------------------------------------

absl::Status ModelRollout::CheckCoverage(
    const Registry& registry, const v1::SetLabelRequest& request) const {
  const double wanted =
      request.has_min_coverage() ? request.min_coverage() : kMinCoverage;
  // NaN is neither.
  if (!(wanted >= 0 && wanted <= 1)) {
    return absl::InvalidArgumentError(
        absl::StrCat("min_coverage: ", wanted, "; must be 0 to 1"));
  }
  const LoadedModelPtr model =
      registry.Find(request.model_name(), request.model_version());
  const auto progress = parts_.migrations.Of(model->id);
  if (!progress || wanted == 0) return absl::OkStatus();
  const bool counted = progress->phase != Migration::Phase::kCounting;
  if (counted && progress->coverage() >= wanted) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat(
      "min_coverage: ", wanted, "; ", ModelLabel(model->name, model->version),
      counted ? absl::StrCat(" has states of ", progress->covered_users, " of ",
                             progress->users, " users")
              : " is counting its users",
      progress->time_left && progress->phase == Migration::Phase::kFolding
          ? absl::StrCat(", and about ",
                         absl::FormatDuration(absl::Trunc(
                             *progress->time_left, absl::Seconds(1))),
                         " to go")
          : ""));
}

template <typename Request>
absl::StatusOr<v1::ModelLabels> ModelRollout::ChangeLabels(
    const Request& request) {
  const std::string& name = request.model_name();
  absl::MutexLock lock(&mutex_);
  const std::shared_ptr<const Registry> registry = parts_.models.Current();
  absl::StatusOr<ModelLabels> changed = Changed(*registry, request);
  if (!changed.ok()) return changed.status();
  if constexpr (std::is_same_v<Request, v1::SetLabelRequest>) {
    const absl::Status covered = CheckCoverage(*registry, request);
    if (!covered.ok()) return covered;
  }
  if (request.validate_only()) {
    v1::ModelLabels described = Describe(name, *changed);
    described.set_etag(registry->LabelsOf(name).etag());
    return described;
  }
  v1::ModelLabels described = Describe(name, *changed);
  if (*changed == registry->LabelsOf(name)) return described;
  LabelsOfModels labels = registry->labels();
  labels[name] = *std::move(changed);
  absl::Status remembered = Remember(loaded_, labels);
  if (!remembered.ok()) return remembered;
  LogInfo("a model's labels",
          {{"model", name},
           {"labels", absl::StrJoin(labels[name].versions, ", ",
                                    absl::PairFormatter(" -> "))},
           {"etag", described.etag()}});
  Replace(registry->WithLabels(std::move(labels)));
  return described;
}

template <typename Request, typename Response>
void ModelRollout::StartLabels(const Request& request, Response& response,
                               Done done) {
  Submit(
      labels_,
      [this, &request, &response] {
        absl::StatusOr<v1::ModelLabels> labels = ChangeLabels(request);
        if (labels.ok()) *response.mutable_labels() = *std::move(labels);
        return labels.status();
      },
      std::move(done));
}

void ModelRollout::Start(const v1::SetLabelRequest& request,
                         v1::SetLabelResponse& response, Done done) {
  StartLabels(request, response, std::move(done));
}

void ModelRollout::Start(const v1::RemoveLabelRequest& request,
                         v1::RemoveLabelResponse& response, Done done) {
  StartLabels(request, response, std::move(done));
}

void ModelRollout::Start(const v1::RollbackRequest& request,
                         v1::RollbackResponse& response, Done done) {
  StartLabels(request, response, std::move(done));
}

}  // namespace qlarank
