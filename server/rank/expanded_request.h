// A Rank request whose categories have become features.
#ifndef QLARANK_SERVER_RANK_EXPANDED_REQUEST_H_
#define QLARANK_SERVER_RANK_EXPANDED_REQUEST_H_

#include <cstddef>
#include <memory>

#include "absl/status/statusor.h"
#include "config/server_options.h"
#include "qlarank/v1/rank_service.pb.h"
#include "server/models/loaded_model.h"

namespace qlarank {

// A copy with features in the place of the candidates' categories, which are
// those of `model`, and of recent events', which are those of `main`, the
// default model; null where nothing has any. Adds to `unknown` the values that
// these do not know. INVALID_ARGUMENT names the field and its value.
absl::StatusOr<std::unique_ptr<v1::RankRequest>> ExpandCategories(
    const v1::RankRequest& request, const LoadedModel& model,
    const LoadedModel& main, const LimitsOptions& limits, size_t& unknown);

}  // namespace qlarank

#endif  // QLARANK_SERVER_RANK_EXPANDED_REQUEST_H_
