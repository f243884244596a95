// Where a bundle lies that operators ask for.
#ifndef QLARANK_SERVER_ROLLOUT_BUNDLE_FOLDER_H_
#define QLARANK_SERVER_ROLLOUT_BUNDLE_FOLDER_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "server/rollout/served_models.h"

namespace qlarank {

// The folder, which lies below `base`: links are followed before that is
// decided. Errors are those of ModelAdminService.LoadModel: INVALID_ARGUMENT for
// one that lies elsewhere, FAILED_PRECONDITION where `base` is "", NOT_FOUND
// where there is nothing.
absl::StatusOr<std::string> BundleFolder(absl::string_view base,
                                         const LoadedByRequest& wanted);

}  // namespace qlarank

#endif  // QLARANK_SERVER_ROLLOUT_BUNDLE_FOLDER_H_
