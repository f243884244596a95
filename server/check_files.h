// What --validate_config looks at beside the configuration itself.
#ifndef QLARANK_SERVER_CHECK_FILES_H_
#define QLARANK_SERVER_CHECK_FILES_H_

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "config/server_options.h"

namespace qlarank {

// Whether a server would take the files that the configuration names: bundles,
// their golden requests replayed, whether they fit into the memory budget, the
// token file, certificates and keys. INVALID_ARGUMENT with a line for each that is wrong, "ORIGIN: FIELD: ...".
// Opens no store and no port. Blocks on the disk.
absl::Status CheckConfiguredFiles(const ServerOptions& options,
                                  absl::string_view origin);

}  // namespace qlarank

#endif  // QLARANK_SERVER_CHECK_FILES_H_
