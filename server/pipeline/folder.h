// Folds new events into one model's user states, in the background.
//
// Every user belongs to one of a few lanes, each with a thread, so nobody folds
// a user's events twice. Live folding, catching up and rebuilding all fold the
// log's events in the log's order, and give the same bits.
//
// Thread-safe.
#ifndef QLARANK_SERVER_PIPELINE_FOLDER_H_
#define QLARANK_SERVER_PIPELINE_FOLDER_H_

#include <memory>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "server/ops/metrics.h"
#include "server/pipeline/fold_lane.h"
#include "server/pipeline/user_memory.h"
#include "state_store/state_store.h"

namespace qlarank {

class Folder {
 public:
  // Starts `num_threads` (at least 1). Both must outlive the folder.
  Folder(UserMemory& memory, Metrics& metrics, size_t num_threads);
  // Stops after the rounds at work; what is left waits in the log.
  ~Folder();

  // These events, which arrived at `arrival`, are in the log.
  void MarkDirty(absl::Span<const UserAppend> appends, absl::Time arrival);
  // Some events of this user are in the log and not in their state.
  void MarkDirty(absl::string_view user_id, absl::Time arrival);

  // Blocks until every user marked before has been folded, or the time-out.
  bool WaitIdle(absl::Duration timeout);

 private:
  size_t LaneOf(absl::string_view user_id) const;

  std::vector<std::unique_ptr<FoldLane>> lanes_;
};

}  // namespace qlarank

#endif  // QLARANK_SERVER_PIPELINE_FOLDER_H_
