// One thread that folds the new events of its share of a model's users.
//
// What waits is a set of users, each with the newest of their events at hand;
// what is not at hand, because it came too fast or the state fell out of the
// cache, is read from the log. A round takes as many users as give a few full
// tiles, and at most kChunk events of each before others have their turn.
//
// The set is bounded: users above kMaxBacklog are not marked. Nothing is lost:
// a user is caught up from the log whenever a look-up misses the cache or asks
// for newer events, and any later event marks the user again.
//
// Thread-safe.
#ifndef QLARANK_SERVER_PIPELINE_FOLD_LANE_H_
#define QLARANK_SERVER_PIPELINE_FOLD_LANE_H_

#include <deque>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "model/engine.h"
#include "server/ops/metrics.h"
#include "server/pipeline/log_tail.h"
#include "server/pipeline/user_memory.h"
#include "state_store/state_store.h"

namespace qlarank {

class FoldLane {
 public:
  static constexpr size_t kChunk = 256;
  // What ends the filling of a round.
  static constexpr size_t kRoundUsers = 64;
  static constexpr size_t kRoundEvents = 256;
  static constexpr size_t kMaxBacklog = 1'000'000;  // users
  // A lane is behind whose events wait for longer. Writing a snapshot costs as
  // much as folding a hundred events, so it puts that off.
  static constexpr absl::Duration kBehind = absl::Milliseconds(10);
  // Events at hand, all users together: some 8 MB.
  static constexpr size_t kMaxHeldEvents = 50'000;

  // Starts the thread. Both must outlive the lane.
  FoldLane(UserMemory& memory, Metrics& metrics);
  // Stops after the round at work; what is left waits in the log.
  ~FoldLane();

  // These events, which arrived at `arrival`, are in the log.
  void MarkDirty(absl::Span<const UserAppend* const> appends,
                 absl::Time arrival) ABSL_LOCKS_EXCLUDED(mutex_);
  // Some events of this user are in the log and not in their state.
  void MarkDirty(absl::string_view user_id, absl::Time arrival)
      ABSL_LOCKS_EXCLUDED(mutex_);

  // Blocks until every user marked before has been folded, or `deadline`.
  bool WaitIdle(absl::Time deadline) ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  struct Waiting {
    absl::Time since;  // arrival of the oldest event that waits
    LogTail tail;
  };
  struct DirtyUser {
    std::string user_id;
    Waiting waiting;
  };

  void Loop() ABSL_LOCKS_EXCLUDED(mutex_);
  void Mark(absl::string_view user_id, Waiting waiting)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Marks a user of whom a round has left something. What was appended during
  // the round may be marked already, and comes after that.
  void MarkRest(DirtyUser user) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Blocks until there is something to fold; empty at the end.
  std::vector<DirtyUser> TakeRound() ABSL_LOCKS_EXCLUDED(mutex_);
  // Folds the next chunk of each user. Returns those with more to fold.
  std::vector<DirtyUser> FoldRound(std::vector<DirtyUser> users);

  UserMemory& memory_;
  Metrics& metrics_;
  const std::unique_ptr<EngineScratch> scratch_;  // of the thread

  absl::Mutex mutex_;
  std::deque<std::string> queue_ ABSL_GUARDED_BY(mutex_);
  // The users in queue_.
  absl::flat_hash_map<std::string, Waiting> waiting_ ABSL_GUARDED_BY(mutex_);
  size_t held_events_ ABSL_GUARDED_BY(mutex_) = 0;  // in waiting_
  size_t at_work_ ABSL_GUARDED_BY(mutex_) = 0;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;

  std::thread thread_;
};

}  // namespace qlarank

#endif  // QLARANK_SERVER_PIPELINE_FOLD_LANE_H_
