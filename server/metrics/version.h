// The version of this build.
#ifndef QLARANK_SERVER_METRICS_VERSION_H_
#define QLARANK_SERVER_METRICS_VERSION_H_

#include "absl/strings/string_view.h"

namespace qlarank {

// The project's version, with what `git describe` said at configuration where
// that was available: "0.1.0 (58acfbc)".
absl::string_view BuildVersion();

}  // namespace qlarank

#endif  // QLARANK_SERVER_METRICS_VERSION_H_
