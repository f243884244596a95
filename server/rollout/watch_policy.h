// What is to be loaded and unloaded for the folders that came and went.
//
// A pure function of what is seen of one model.
#ifndef QLARANK_SERVER_ROLLOUT_WATCH_POLICY_H_
#define QLARANK_SERVER_ROLLOUT_WATCH_POLICY_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace qlarank {

struct WatchedVersion {
  // As ListVersionFolders describes it; nullopt: it is gone.
  std::optional<std::string> folder;
  // What it was when it was last loaded, or tried; "": never.
  std::string tried = "";
  bool served = false;
  bool failed = false;  // listed as FAILED
  // The watch may take it out of service: it was loaded from its folder by
  // request, the configuration does not name it, and no label points, or waits
  // to point, to it.
  bool may_go = false;
  bool before_stable = false;  // what Rollback would go to
  bool chosen = true;  // among those that the configuration names, if it does
};

struct WatchDecision {
  std::vector<uint64_t> load, unload;  // the newest first

  bool operator==(const WatchDecision&) const = default;
};

// `keep_versions` 0: all. A folder that failed, or whose version somebody
// unloaded, is taken again when it has changed. What is older than the newest
// that are served, as many as are kept, is not loaded, and unloaded, as is what
// is not chosen; what has no folder is unloaded.
WatchDecision DecideWatch(const std::map<uint64_t, WatchedVersion>& versions,
                          uint32_t keep_versions);

}  // namespace qlarank

#endif  // QLARANK_SERVER_ROLLOUT_WATCH_POLICY_H_
