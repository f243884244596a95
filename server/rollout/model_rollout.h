// Which models are served, changed while they are: loads a version, takes one out
// of service, points labels, rolls back.
//
// What is served is one registry, replaced whole, so a request sees all of a
// change or nothing of it. A change is remembered in the store before it is
// served, so that a restart does not undo it.
//
// Thread-safe. Start does not block: loading and unloading share one thread, and
// labels have one of their own, so that no rollback waits for a load. `done` is
// called once, by the calling thread (a request refused at once) or by one of
// those; request and response must live until then.
#ifndef QLARANK_SERVER_ROLLOUT_MODEL_ROLLOUT_H_
#define QLARANK_SERVER_ROLLOUT_MODEL_ROLLOUT_H_

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_set.h"
#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "config/server_options.h"
#include "qlarank/v1/model_admin_service.pb.h"
#include "server/catalogue/live_catalogue.h"
#include "server/metrics/metrics.h"
#include "server/models/model_registry.h"
#include "server/partition/partitions.h"
#include "server/rank/rank_models.h"
#include "server/rollout/label_changes.h"
#include "server/rollout/model_memory.h"
#include "server/rollout/served_models.h"
#include "server/states/migrations.h"
#include "server/states/user_states.h"
#include "server/work/periodic.h"
#include "server/work/task_thread.h"
#include "state_store/state_store.h"

namespace qlarank {

class ModelRollout {
 public:
  using Done = absl::AnyInvocable<void(absl::Status)>;

  // All that knows of models.
  struct Parts {
    StateStore& store;
    ModelRegistry& models;
    LiveCatalogue& catalogue;
    UserStates& states;
    Partitions& partitions;
    RankModels& rank_models;
    Migrations& migrations;
    Metrics& metrics;
  };
  // All parts must outlive this.
  ModelRollout(const Parts& parts, const ServerOptions& options);
  // Finishes the load at work, and stops migrations. REQUIRES: no request is
  // left.
  ~ModelRollout();

  // Takes up what was loaded and labelled before the restart; once, before
  // anything else. A version that cannot be loaded is FAILED, but an error where
  // a label points to it. DATA_LOSS when what was remembered is damaged.
  absl::Status Resume();

  // Errors are those of model_admin_service.proto.
  void Start(const v1::LoadModelRequest& request,
             v1::LoadModelResponse& response, Done done);
  void Start(const v1::UnloadModelRequest& request,
             v1::UnloadModelResponse& response, Done done);
  void Start(const v1::SetLabelRequest& request, v1::SetLabelResponse& response,
             Done done);
  void Start(const v1::RemoveLabelRequest& request,
             v1::RemoveLabelResponse& response, Done done);
  void Start(const v1::RollbackRequest& request, v1::RollbackResponse& response,
             Done done);
  void Start(const v1::SetTrafficRequest& request,
             v1::SetTrafficResponse& response, Done done);
  void Start(const v1::SetShadowRequest& request,
             v1::SetShadowResponse& response, Done done);

  // Loads a version as its folder asks for it: in the same step `label`, unless
  // its label is "", waits for the version if that is the newest
  // (label_changes.h, ChangedForFolder).
  void StartForFolder(const v1::LoadModelRequest& request,
                      const v1::SetLabelRequest& label,
                      v1::LoadModelResponse& response, Done done);

  // What is remembered as loaded by request, some of it FAILED.
  std::vector<LoadedByRequest> loaded() ABSL_LOCKS_EXCLUDED(mutex_);
  // Of the models that are not of the configuration.
  ModelMemory::Taken memory_taken() const { return memory_.taken(); }
  // Lists a version as FAILED that could not even be begun to be loaded.
  void NoteFailed(const std::string& name, uint64_t version,
                  const absl::Status& why) {
    Fail({name, version, /*path=*/""}, why);
  }

 private:
  // `label` may be null: none waits.
  absl::Status Load(const v1::LoadModelRequest& request,
                    const v1::SetLabelRequest* label,
                    v1::LoadModelResponse& response);
  // Whether it could be loaded, and why not.
  absl::Status TryOut(const ModelOptions& options) const;
  // Loads it from `folder`, where its bundle lies if that was found, and has
  // everybody ready for its first request.
  absl::StatusOr<LoadedModelPtr> Bring(
      const LoadedByRequest& wanted,
      const absl::StatusOr<std::string>& folder);
  // Begins to bring users' states to it, and remembers when that is done.
  void Migrate(const LoadedModelPtr& model);
  void NoteMigrated(const std::string& name, uint64_t version)
      ABSL_LOCKS_EXCLUDED(mutex_);
  // Everybody lets go of it but the requests that hold it.
  void LetGo(const LoadedModel& model);
  absl::Status Join(const LoadedModelPtr& model, const LoadedByRequest& wanted,
                    const v1::SetLabelRequest* label)
      ABSL_LOCKS_EXCLUDED(mutex_);
  std::shared_ptr<const Registry> WithLabelOfFolder(
      std::shared_ptr<const Registry> registry,
      const v1::SetLabelRequest& request);
  // Lists it as failed, and says why.
  void Fail(const LoadedByRequest& wanted, const absl::Status& why)
      ABSL_LOCKS_EXCLUDED(mutex_);

  absl::Status Unload(const v1::UnloadModelRequest& request,
                      v1::UnloadModelResponse& response);
  // Takes it out of service; null: it was only listed.
  absl::StatusOr<LoadedModelPtr> Withdraw(const v1::UnloadModelRequest& request)
      ABSL_LOCKS_EXCLUDED(mutex_);
  void Drain(LoadedModelPtr model);
  using ModelId = std::pair<std::string, uint64_t>;  // name, version
  // Another version whose states these are, too; "": none.
  std::string WhoElseHas(const std::string& fingerprint,
                         const ModelId& id) const;
  // REQUIRES: nobody has them.
  absl::Status DropStates(const std::string& fingerprint);

  template <typename Request, typename Response>
  void StartLabels(const Request& request, Response& response, Done done);
  template <typename Request>
  absl::StatusOr<v1::ModelLabels> ChangeLabels(const Request& request)
      ABSL_LOCKS_EXCLUDED(mutex_);
  // As label_changes.h has it, for what can be done at once.
  absl::StatusOr<ModelLabels> Changed(const Registry& registry,
                                      const v1::SetLabelRequest& request) const;
  template <typename Request>
  absl::StatusOr<ModelLabels> Changed(const Registry& registry,
                                      const Request& request) const {
    return qlarank::Changed(registry, request);
  }
  // Those that were pending, and whose versions enough users have a state under.
  void MoveCoveredLabels() ABSL_LOCKS_EXCLUDED(mutex_);
  // OK when every label points to what is served.
  absl::Status CheckLabels(const LabelsOfModels& labels) const;

  // Makes it durable, with `answered` or what there is.
  absl::Status Remember(std::vector<LoadedByRequest> loaded,
                        const LabelsOfModels& labels, AnsweredLabels answered)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status Remember(std::vector<LoadedByRequest> loaded,
                        const LabelsOfModels& labels)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return Remember(std::move(loaded), labels, answered_);
  }
  void Replace(std::shared_ptr<const Registry> registry)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const Parts parts_;
  const std::string base_path_;
  const uint64_t max_added_items_;
  const std::vector<ModelOptions> configured_;
  std::map<ModelId, std::string> configured_fingerprints_;  // of states
  ModelMemory memory_;

  absl::Mutex mutex_;  // whoever replaces the registry
  std::vector<LoadedByRequest> loaded_ ABSL_GUARDED_BY(mutex_);
  AnsweredLabels answered_ ABSL_GUARDED_BY(mutex_){kMostAnsweredLabels};
  absl::Time move_after_ ABSL_GUARDED_BY(mutex_) = absl::InfinitePast();
  // LoadedModel::id of whom the log says that their labels wait in vain.
  absl::flat_hash_set<uint32_t> told_ ABSL_GUARDED_BY(mutex_);

  absl::Notification stop_;
  TaskThread loads_{16};
  TaskThread labels_{16};
  std::unique_ptr<Periodic> label_mover_;  // since Resume
};

}  // namespace qlarank

#endif  // QLARANK_SERVER_ROLLOUT_MODEL_ROLLOUT_H_
