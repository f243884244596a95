// Requests about items as the catalogue takes them: keys made ids, and every
// field looked at that can be without knowing what is there.
//
// Pure functions. INVALID_ARGUMENT names the first wrong field and its value.
#ifndef QLARANK_SERVER_CATALOGUE_ITEM_REQUESTS_H_
#define QLARANK_SERVER_CATALOGUE_ITEM_REQUESTS_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "qlarank/v1/model_admin_service.pb.h"
#include "server/models/loaded_model.h"
#include "state_store/catalogue_log.h"

namespace qlarank {

inline constexpr size_t kMostItems = 10'000;  // of one request
inline constexpr size_t kMostItemTextBytes = 1024;  // of a key or a title

// Entries without versions, in the order of the request. `model` is the one that
// it names.
absl::StatusOr<std::vector<CatalogueEntry>> EntriesOf(
    const v1::UpsertItemsRequest& request, const LoadedModel& model);
absl::StatusOr<std::vector<CatalogueEntry>> EntriesOf(
    const v1::RemoveItemsRequest& request);

absl::StatusOr<std::vector<uint64_t>> IdsOf(const v1::GetItemsRequest& request);

}  // namespace qlarank

#endif  // QLARANK_SERVER_CATALOGUE_ITEM_REQUESTS_H_
