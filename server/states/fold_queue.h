// The new events of an owner's users that a model has not folded yet.
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
// Thread-safe, but for what is the owner's: one call of a method at a time, and
// of Forget none beside the others.
#ifndef QLARANK_SERVER_STATES_FOLD_QUEUE_H_
#define QLARANK_SERVER_STATES_FOLD_QUEUE_H_

#include <deque>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "model/engine.h"
#include "server/metrics/metrics.h"
#include "server/states/log_tail.h"
#include "server/states/user_memory.h"
#include "state_store/state_store.h"

namespace qlarank {

class FoldQueue {
 public:
  static constexpr size_t kChunk = 256;
  // What ends the filling of a round.
  static constexpr size_t kRoundUsers = 64;
  static constexpr size_t kRoundEvents = 256;
  static constexpr size_t kMaxBacklog = 1'000'000;  // users
  // An owner is behind whose events wait for longer. Writing a snapshot costs as
  // much as folding a hundred events, so it puts that off.
  static constexpr absl::Duration kBehind = absl::Milliseconds(10);
  // Events at hand, all users together: some 8 MB.
  static constexpr size_t kMaxHeldEvents = 50'000;

  // Both must outlive the queue.
  FoldQueue(UserMemory& memory, Metrics& metrics);
  // What is left waits in the log.
  ~FoldQueue();

  // Some events of this user are in the log and not in their state, or their
  // state is not at hand. From any thread.
  void Mark(absl::string_view user_id, absl::Time arrival)
      ABSL_LOCKS_EXCLUDED(mutex_);
  // Whether anything waits. From any thread.
  bool has_work() const ABSL_LOCKS_EXCLUDED(mutex_);
  // Blocks until every user marked before has been folded, or `deadline`. From
  // any thread.
  bool WaitIdle(absl::Time deadline) ABSL_LOCKS_EXCLUDED(mutex_);

  // The owner's. These events, which arrived at `arrival`, are in the log: one
  // append a user.
  void Append(std::vector<UserAppend> appends, absl::Time arrival)
      ABSL_LOCKS_EXCLUDED(mutex_);
  // The owner's. The user was erased.
  void Forget(absl::string_view user_id) ABSL_LOCKS_EXCLUDED(mutex_);
  // The owner's. Folds what is next, and publishes it.
  void FoldRound(EngineScratch& scratch) ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  struct Waiting {
    absl::Time since;  // arrival of the oldest event that waits
    LogTail tail;
  };
  struct DirtyUser {
    std::string user_id;
    Waiting waiting;
  };

  void Add(absl::string_view user_id, Waiting waiting)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Adds a user of whom a round has left something. What was appended during
  // the round may be there already, and comes after that.
  void AddRest(DirtyUser user) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  std::vector<DirtyUser> TakeRound() ABSL_LOCKS_EXCLUDED(mutex_);
  // Folds the next chunk of each user. Returns those with more to fold.
  std::vector<DirtyUser> Fold(std::vector<DirtyUser> users,
                              EngineScratch& scratch);

  UserMemory& memory_;
  Metrics& metrics_;

  mutable absl::Mutex mutex_;
  std::deque<std::string> queue_ ABSL_GUARDED_BY(mutex_);
  // The users in queue_.
  absl::flat_hash_map<std::string, Waiting> waiting_ ABSL_GUARDED_BY(mutex_);
  size_t held_events_ ABSL_GUARDED_BY(mutex_) = 0;  // in waiting_
  size_t at_work_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace qlarank

#endif  // QLARANK_SERVER_STATES_FOLD_QUEUE_H_
