// How versions are loaded that the configuration does not name.
#ifndef QLARANK_SERVER_ROLLOUT_LOADED_OPTIONS_H_
#define QLARANK_SERVER_ROLLOUT_LOADED_OPTIONS_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "config/server_options.h"
#include "server/rollout/served_models.h"
#include "state_store/event_log.h"

namespace qlarank {

// From `folder`, otherwise as the configuration has models of that name, and with
// as many added items as any.
ModelOptions OptionsOfLoaded(const LoadedByRequest& wanted,
                             const std::string& folder,
                             absl::Span<const ModelOptions> configured,
                             uint64_t max_added_items);

// What the store remembers beside the configuration, to be loaded when a server
// starts; of one whose bundle is not found, why (bundle_folder.h). Errors are
// those of ReadServedModels.
struct RememberedModel {
  LoadedByRequest wanted;
  absl::StatusOr<ModelOptions> options;
};
absl::StatusOr<std::vector<RememberedModel>> RememberedModels(
    const ServerOptions& options, const EventLog& store);

}  // namespace qlarank

#endif  // QLARANK_SERVER_ROLLOUT_LOADED_OPTIONS_H_
