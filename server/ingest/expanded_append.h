// Appends whose events' categories have become features.
#ifndef QLARANK_SERVER_INGEST_EXPANDED_APPEND_H_
#define QLARANK_SERVER_INGEST_EXPANDED_APPEND_H_

#include <cstddef>
#include <memory>

#include "absl/status/status.h"
#include "qlarank/v1/ingest_service.pb.h"
#include "server/models/category_features.h"

namespace qlarank {

// A copy with features in the place of the events' categories; null where no
// event has any. Adds to `unknown` the values that the model does not know. An
// event whose categories are wrong keeps them.
std::shared_ptr<const v1::AppendEventsRequest> ExpandCategories(
    const v1::AppendEventsRequest& request, const CategoryFeatures& categories,
    size_t& unknown);

// INVALID_ARGUMENT for an event that kept its categories: names the field
// within the event that is wrong.
absl::Status CheckExpanded(const v1::UserEvent& event,
                           const CategoryFeatures& categories);

}  // namespace qlarank

#endif  // QLARANK_SERVER_INGEST_EXPANDED_APPEND_H_
