#include "server/rollout/watch_policy.h"

#include <algorithm>
#include <limits>

namespace qlarank {
namespace {

bool IsNew(const WatchedVersion& version) {
  return version.chosen && !version.served && version.folder.has_value() &&
         !version.folder->empty() && *version.folder != version.tried;
}

}  // namespace

WatchDecision DecideWatch(const std::map<uint64_t, WatchedVersion>& versions,
                          uint32_t keep_versions) {
  const size_t keep = keep_versions == 0 ? std::numeric_limits<size_t>::max()
                                         : keep_versions;
  WatchDecision decision;
  size_t served = 0, wanted = 0;  // so far, of newer ones
  for (auto it = versions.rbegin(); it != versions.rend(); ++it) {
    const auto& [number, version] = *it;
    const bool gone = !version.folder.has_value();
    if (IsNew(version) && wanted++ < keep) decision.load.push_back(number);
    if (version.served) ++wanted;
    const bool unwanted =
        version.served && (served++ >= keep || !version.chosen);
    if (version.may_go && ((gone && (version.served || version.failed)) ||
                           (unwanted && !version.before_stable))) {
      decision.unload.push_back(number);
    }
  }
  return decision;
}

}  // namespace qlarank
