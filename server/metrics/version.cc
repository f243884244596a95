#include "server/metrics/version.h"

#ifndef QLARANK_VERSION
#error "QLARANK_VERSION comes from server/ops/CMakeLists.txt"
#endif

namespace qlarank {

absl::string_view BuildVersion() { return QLARANK_VERSION; }

}  // namespace qlarank
