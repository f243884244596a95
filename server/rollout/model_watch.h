// Loads and unloads versions as their folders come and go (ModelWatchConfig), as
// operators would by request: what they load by hand, and what is configured, it
// leaves alone.
//
// One thread, which looks every so often and waits for what it asked for.
#ifndef QLARANK_SERVER_ROLLOUT_MODEL_WATCH_H_
#define QLARANK_SERVER_ROLLOUT_MODEL_WATCH_H_

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "config/server_options.h"
#include "server/metrics/model_metrics.h"
#include "server/models/model_registry.h"
#include "server/rollout/model_folders.h"
#include "server/rollout/model_rollout.h"
#include "server/rollout/watch_policy.h"
#include "server/work/periodic.h"

namespace qlarank {

class ModelWatch {
 public:
  // Begins at once. All must outlive this.
  ModelWatch(ModelRollout& rollout, const ModelRegistry& models,
             ModelMetrics& metrics, const ServerOptions& options);

 private:
  using ModelId = std::pair<std::string, uint64_t>;  // name, version

  void Look();
  void LookAtAll();
  void LookAt(const std::string& model);
  // What there is of a model, by its folders and by the registry.
  std::map<uint64_t, WatchedVersion> Watched(const std::string& model,
                                             const VersionFolders& folders);
  // Whether a folder that is not there was missed the last time, too: one that
  // is exchanged for another is missing for a moment.
  bool IsGone(const ModelId& id);
  // By configuration and labels.
  bool MayGo(const ModelId& id, const Registry& registry) const;
  void Load(const ModelId& id, const std::string& folder);
  void Unload(const ModelId& id);
  // Says once what cannot be listed, until it can.
  void NoteListed(const std::string& folder, const absl::Status& listed);

  ModelRollout& rollout_;
  const ModelRegistry& models_;
  ModelMetrics& metrics_;
  const std::string base_;
  const ModelWatchOptions options_;
  std::set<ModelId> configured_;
  std::set<std::string> with_versions_;  // models of which some are chosen
  std::set<ModelId> chosen_;

  // The thread's.
  std::map<ModelId, std::string> tried_;
  std::set<ModelId> missing_;
  std::set<std::string> unlisted_;
  std::set<ModelId> by_folder_;  // that are remembered as loaded from there

  Periodic periodic_;
};

}  // namespace qlarank

#endif  // QLARANK_SERVER_ROLLOUT_MODEL_WATCH_H_
