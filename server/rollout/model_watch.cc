#include "server/rollout/model_watch.h"

#include "absl/algorithm/container.h"
#include "absl/status/status.h"
#include "absl/synchronization/notification.h"
#include "server/models/model_description.h"
#include "server/ops/logging.h"

namespace qlarank {
namespace {

// Blocks until what `start` begins was answered.
template <typename Start>
absl::Status Await(Start start) {
  absl::Status result;
  absl::Notification done;
  start(ModelRollout::Done([&](absl::Status status) {
    result = std::move(status);
    done.Notify();
  }));
  done.WaitForNotification();
  return result;
}

// It is not the folder that is wrong.
bool IsPassing(const absl::Status& status) {
  return absl::IsUnavailable(status) || absl::IsResourceExhausted(status) ||
         absl::IsAlreadyExists(status);
}

}  // namespace

ModelWatch::ModelWatch(ModelRollout& rollout, const ModelRegistry& models,
                       ModelMetrics& metrics, const ServerOptions& options)
    : rollout_(rollout),
      models_(models),
      metrics_(metrics),
      base_(options.model_base_path),
      options_(options.model_watch),
      configured_([&] {
        std::set<ModelId> configured;
        for (const ModelOptions& model : options.models) {
          configured.emplace(model.name, model.version);
        }
        return configured;
      }()),
      with_versions_([&] {
        std::set<std::string> models;
        for (const auto& version : options_.versions) {
          models.insert(version.model);
        }
        return models;
      }()),
      chosen_([&] {
        std::set<ModelId> chosen;
        for (const auto& version : options_.versions) {
          chosen.emplace(version.model, version.version);
        }
        return chosen;
      }()),
      periodic_(options_.interval, [this] { Look(); }) {}

void ModelWatch::Look() {
  LookAtAll();
  metrics_.watch_looks.Increment();
}

void ModelWatch::LookAtAll() {
  const auto models = ListModelFolders(base_);
  NoteListed(base_, models.status());
  if (!models.ok()) return;
  by_folder_.clear();
  for (const LoadedByRequest& loaded : rollout_.loaded()) {
    if (loaded.path.empty()) by_folder_.emplace(loaded.name, loaded.version);
  }
  for (const std::string& model : *models) {
    if (options_.models.empty() ||
        absl::c_linear_search(options_.models, model)) {
      LookAt(model);
    }
  }
}

void ModelWatch::LookAt(const std::string& model) {
  const auto folders = ListVersionFolders(base_, model);
  NoteListed(base_ + "/" + model, folders.status());
  if (!folders.ok()) return;
  const auto watched = Watched(model, *folders);
  const WatchDecision decision = DecideWatch(
      watched, with_versions_.contains(model) ? 0 : options_.keep_versions);
  for (const uint64_t version : decision.unload) Unload({model, version});
  for (const uint64_t version : decision.load) {
    Load({model, version}, *watched.at(version).folder);
  }
}

std::map<uint64_t, WatchedVersion> ModelWatch::Watched(
    const std::string& model, const VersionFolders& folders) {
  const std::shared_ptr<const Registry> registry = models_.Current();
  std::map<uint64_t, WatchedVersion> watched;
  for (const auto& [version, folder] : folders) {
    watched[version].folder = folder;
    missing_.erase({model, version});
  }
  for (const LoadedModelPtr& loaded : registry->models()) {
    if (loaded->name == model) watched[loaded->version].served = true;
  }
  for (const UnservedModel& unserved : registry->unserved()) {
    if (unserved.name != model) continue;
    if (unserved.state == v1::MODEL_STATE_FAILED) {
      watched[unserved.version].failed = true;
    } else {
      watched.erase(unserved.version);  // somebody is at it
    }
  }
  const uint64_t before = registry->LabelsOf(model).before_stable;
  for (auto& [version, seen] : watched) {
    const ModelId id(model, version);
    const bool gone = !seen.folder.has_value() && IsGone(id);
    if (!seen.folder.has_value() && !gone) seen.folder = "";
    if (seen.served && folders.contains(version)) tried_[id] = *seen.folder;
    if (const auto tried = tried_.find(id); tried != tried_.end()) {
      seen.tried = tried->second;
    }
    // One that failed is remembered here alone.
    seen.may_go = (by_folder_.contains(id) ||
                   (seen.failed && tried_.contains(id))) &&
                  MayGo(id, *registry);
    seen.before_stable = version == before;
    seen.chosen = !with_versions_.contains(model) || chosen_.contains(id);
    if (gone) tried_.erase(id);
  }
  return watched;
}

bool ModelWatch::IsGone(const ModelId& id) {
  return !missing_.insert(id).second;
}

bool ModelWatch::MayGo(const ModelId& id, const Registry& registry) const {
  const ModelLabels& labels = registry.LabelsOf(id.first);
  return !configured_.contains(id) &&
         absl::c_none_of(labels.versions, [&](const auto& label) {
           return label.second == id.second;
         }) &&
         DescribePending(labels, id.second).empty();
}

void ModelWatch::Load(const ModelId& id, const std::string& folder) {
  v1::LoadModelRequest request;
  request.set_model_name(id.first);
  request.set_model_version(id.second);
  v1::SetLabelRequest label;
  label.set_model_name(id.first);
  label.set_label(options_.label);
  label.set_model_version(id.second);
  label.set_min_coverage(options_.min_coverage);
  v1::LoadModelResponse response;
  const absl::Status loaded = Await([&](ModelRollout::Done done) {
    rollout_.StartForFolder(request, label, response, std::move(done));
  });
  if (IsPassing(loaded)) return;
  tried_[id] = folder;
  if (loaded.ok()) return metrics_.watch_loaded.Increment();
  metrics_.watch_failed.Increment();
  // As what is a link to elsewhere, which is refused before it is looked at.
  if (models_.Current()->FindUnserved(id.first, id.second) == nullptr) {
    rollout_.NoteFailed(id.first, id.second, loaded);
  }
}

void ModelWatch::Unload(const ModelId& id) {
  v1::UnloadModelRequest request;
  request.set_model_name(id.first);
  request.set_model_version(id.second);
  v1::UnloadModelResponse response;
  const absl::Status unloaded = Await([&](ModelRollout::Done done) {
    rollout_.Start(request, response, std::move(done));
  });
  if (unloaded.ok()) return metrics_.watch_unloaded.Increment();
  LogWarning("a version stays that its folder does not ask for",
             {{"model", id.first},
              {"version", id.second},
              {"error", unloaded}});
}

void ModelWatch::NoteListed(const std::string& folder,
                            const absl::Status& listed) {
  if (listed.ok()) {
    unlisted_.erase(folder);
    return;
  }
  metrics_.watch_unlisted.Increment();
  if (!unlisted_.insert(folder).second) return;
  LogWarning("a folder of models cannot be listed: nothing comes or goes",
             {{"folder", folder}, {"error", listed.message()}});
}

}  // namespace qlarank
