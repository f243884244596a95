// What operators ask of the store: checkpoints, backups, and who was erased.
//
// Thread-safe. Start does not block: the store is read and copied on threads of
// this pipeline, one copy at a time. `done` is called once, by the calling
// thread (a request refused at once) or by one of those; request and response
// must live until then.
#ifndef QLARANK_SERVER_UPKEEP_ADMIN_PIPELINE_H_
#define QLARANK_SERVER_UPKEEP_ADMIN_PIPELINE_H_

#include <string>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "config/server_options.h"
#include "qlarank/v1/admin_service.pb.h"
#include "server/metrics/copy_metrics.h"
#include "server/work/task_thread.h"
#include "state_store/state_store.h"

namespace qlarank {

class AdminPipeline {
 public:
  using Done = absl::AnyInvocable<void(absl::Status)>;

  // All must outlive the pipeline.
  AdminPipeline(StateStore& store, CopyMetrics& metrics,
                const StoreOptions& options)
      : store_(store), metrics_(metrics), options_(options) {}
  // Finishes the copy at work.
  ~AdminPipeline() = default;

  // Errors are those of admin_service.proto.
  void Start(const v1::CheckpointRequest& request,
             v1::CheckpointResponse& response, Done done);
  void Start(const v1::BackupRequest& request, v1::BackupResponse& response,
             Done done);
  void Start(const v1::ListErasuresRequest& request,
             v1::ListErasuresResponse& response, Done done);

 private:
  absl::Status Checkpoint(const v1::CheckpointRequest& request,
                          v1::CheckpointResponse& response);
  absl::Status Backup(const v1::BackupRequest& request,
                      v1::BackupResponse& response);
  absl::Status ListErasures(const v1::ListErasuresRequest& request,
                            v1::ListErasuresResponse& response);

  StateStore& store_;
  CopyMetrics& metrics_;
  const StoreOptions options_;
  TaskThread copies_{1};
  TaskThread readers_{16};
};

}  // namespace qlarank

#endif  // QLARANK_SERVER_UPKEEP_ADMIN_PIPELINE_H_
