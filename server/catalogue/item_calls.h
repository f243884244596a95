// The calls of ModelAdminService that are about items.
//
// Thread-safe. Start does not block: changes come one after another on a thread
// of their own, and so do reads, so that no listing waits for a disk. `done` is
// called once, by the calling thread (a call refused at once) or by one of those;
// request and response must live until then.
#ifndef QLARANK_SERVER_CATALOGUE_ITEM_CALLS_H_
#define QLARANK_SERVER_CATALOGUE_ITEM_CALLS_H_

#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "qlarank/v1/model_admin_service.pb.h"
#include "server/catalogue/live_catalogue.h"
#include "server/metrics/catalogue_metrics.h"
#include "server/models/model_registry.h"
#include "server/work/stand_back.h"
#include "server/work/task_thread.h"
#include "state_store/catalogue_log.h"

namespace qlarank {

class ItemCalls {
 public:
  using Done = absl::AnyInvocable<void(absl::Status)>;

  // All must outlive this.
  ItemCalls(LiveCatalogue& catalogue, const ModelRegistry& models,
            CatalogueMetrics& metrics)
      : catalogue_(catalogue), models_(models), metrics_(metrics) {}

  // Errors are those of model_admin_service.proto.
  void Start(const v1::UpsertItemsRequest& request,
             v1::UpsertItemsResponse& response, Done done);
  void Start(const v1::RemoveItemsRequest& request,
             v1::RemoveItemsResponse& response, Done done);
  void Start(const v1::GetItemsRequest& request, v1::GetItemsResponse& response,
             Done done);
  void Start(const v1::ListItemsRequest& request,
             v1::ListItemsResponse& response, Done done);

 private:
  template <typename Request>
  absl::StatusOr<LiveCatalogue::Outcome> Change(
      const Request& request, std::vector<CatalogueEntry> entries);
  absl::Status Upsert(const v1::UpsertItemsRequest& request,
                      v1::UpsertItemsResponse& response);
  absl::Status Remove(const v1::RemoveItemsRequest& request,
                      v1::RemoveItemsResponse& response);
  absl::Status Get(const v1::GetItemsRequest& request,
                   v1::GetItemsResponse& response);
  absl::Status List(const v1::ListItemsRequest& request,
                    v1::ListItemsResponse& response);
  v1::CatalogueItem Describe(uint64_t item_id, const KnownItem& known) const;

  LiveCatalogue& catalogue_;
  const ModelRegistry& models_;
  CatalogueMetrics& metrics_;
  StandBackThread aside_;  // of `changes_`
  TaskThread changes_{64};
  TaskThread reads_{64};
};

}  // namespace qlarank

#endif  // QLARANK_SERVER_CATALOGUE_ITEM_CALLS_H_
