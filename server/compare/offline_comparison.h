// Two bundles over a request log: each of its requests is scored by both from
// the state that its user had then, and how far they are apart is summed up as
// shadow scoring does (difference.h).
//
// The store is read alone: a checkpoint, or one that no server has open. States
// are folded from the beginning of users' logs, or from where the request before
// left them.
#ifndef QLARANK_SERVER_COMPARE_OFFLINE_COMPARISON_H_
#define QLARANK_SERVER_COMPARE_OFFLINE_COMPARISON_H_

#include <cstdint>
#include <functional>
#include <map>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/compare/difference.h"
#include "server/compare/rescorer.h"
#include "state_store/event_log.h"
#include "state_store/state_store.h"

namespace qlarank {

struct OfflineComparison {
  Difference difference;  // "served" is the first, "shadow" the second
  std::map<Outcome, uint64_t> requests;
  // Of the first of each outcome that has a reason, for people.
  std::map<Outcome, std::string> first_reasons;

  uint64_t compared() const {
    const auto found = requests.find(Outcome::kCompared);
    return found == requests.end() ? 0 : found->second;
  }
};

struct OfflineOptions {
  // Only requests that a model of this name answered. "": all.
  std::string model_name;
  // Of each model's states that are kept meanwhile.
  size_t cache_bytes = size_t{256} << 20;
  // Told after each request which share of all files is read, and how many
  // requests that were.
  std::function<void(double share, uint64_t requests)> on_progress = nullptr;
};

// A model of a bundle, to compare: scored in float32, as a server does unless it
// is configured otherwise, and with the items that the store's catalogue has for
// it, all of them. It is to be folded over the store's log. Errors are those of
// Bundle::Load, Engine::Create and LiveCatalogue, with the folder named.
absl::StatusOr<LoadedModelPtr> LoadToCompare(const std::string& folder,
                                             StateStore& store);

// Blocks. `folder` is the request log's. INVALID_ARGUMENT where it has no file
// of one. A file is read up to the first record that is not whole.
absl::StatusOr<OfflineComparison> CompareOffline(const LoadedModelPtr& first,
                                                 const LoadedModelPtr& second,
                                                 const std::string& folder,
                                                 const EventLog& log,
                                                 const OfflineOptions& options);

}  // namespace qlarank

#endif  // QLARANK_SERVER_COMPARE_OFFLINE_COMPARISON_H_
