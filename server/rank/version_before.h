// Who answers a request that names no version where the state of its user would
// take too long to fold: the version that "stable" pointed to before, or for a
// user in another label's traffic the one that it points to. Its answer is as
// good as it was a moment ago, and the owner brings the user's state to the new
// version meanwhile.
//
// Pure functions of a registry.
#ifndef QLARANK_SERVER_RANK_VERSION_BEFORE_H_
#define QLARANK_SERVER_RANK_VERSION_BEFORE_H_

#include "qlarank/v1/rank_service.pb.h"
#include "server/models/registry.h"

namespace qlarank {

// Null unless the request names neither version nor label, "stable" or a label
// with traffic points to `model`, and the version before is served and takes what
// the request says for what `model` would.
LoadedModelPtr VersionBefore(const Registry& registry, const LoadedModel& model,
                             const v1::RankRequest& request);

}  // namespace qlarank

#endif  // QLARANK_SERVER_RANK_VERSION_BEFORE_H_
