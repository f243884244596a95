// Exports of events: how many there are at a time, and the thread that reads
// for them. One for all, so that however much clients take, it is one processor
// at most that is taken from rankings.
//
//   auto begun = pipeline.Begin(request);
//   pipeline.Next(**begun, message, [](absl::StatusOr<bool> more) { ... });
//
// Thread-safe. Neither call blocks.
#ifndef QLARANK_SERVER_UPKEEP_EXPORT_PIPELINE_H_
#define QLARANK_SERVER_UPKEEP_EXPORT_PIPELINE_H_

#include <atomic>
#include <memory>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "qlarank/v1/admin_service.pb.h"
#include "server/metrics/metrics.h"
#include "server/upkeep/event_export.h"
#include "server/work/task_thread.h"
#include "state_store/state_store.h"

namespace qlarank {

class ExportPipeline {
 public:
  static constexpr int kMaxExports = 2;

  // An export that runs, until it is destroyed.
  class Export {
   public:
    ~Export();

   private:
    friend class ExportPipeline;
    explicit Export(ExportPipeline& pipeline) : pipeline_(pipeline) {}

    ExportPipeline& pipeline_;
    std::unique_ptr<EventExport> events_;
  };
  using Done = absl::AnyInvocable<void(absl::StatusOr<bool> more)>;

  // Both must outlive the pipeline.
  ExportPipeline(const StateStore& store, Metrics& metrics)
      : store_(store), metrics_(metrics) {}

  // RESOURCE_EXHAUSTED while kMaxExports run; else errors are those of
  // EventExport::Create.
  absl::StatusOr<std::unique_ptr<Export>> Begin(
      const v1::ExportEventsRequest& request);

  // EventExport::Next on the pipeline's thread, which calls `done`. REQUIRES:
  // the one before is done; export and message live until then.
  void Next(Export& running, v1::ExportEventsResponse& message, Done done);

 private:
  const StateStore& store_;
  Metrics& metrics_;
  std::atomic<int> running_ = 0;
  TaskThread thread_{kMaxExports};
};

}  // namespace qlarank

#endif  // QLARANK_SERVER_UPKEEP_EXPORT_PIPELINE_H_
