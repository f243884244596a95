// Folds new events of the log into one model's user states, in the background.
//
// What waits is only a set of users: their events are read from the log, so
// that live folding, catching up and rebuilding are the same code and give the
// same bits. Up to kMaxUsers users are folded side by side, at most kChunk
// events of each before others have their turn.
//
// The set is bounded: users above kMaxBacklog are not marked. Nothing is lost:
// a user is caught up from the log whenever a look-up misses the cache or asks
// for newer events, and any later event marks the user again.
//
// Thread-safe.
#ifndef QLARANK_SERVER_PIPELINE_FOLDER_H_
#define QLARANK_SERVER_PIPELINE_FOLDER_H_

#include <deque>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "model/engine.h"
#include "server/ops/metrics.h"
#include "server/pipeline/user_memory.h"
#include "state_store/state_store.h"

namespace qlarank {

class Folder {
 public:
  static constexpr size_t kMaxUsers = 64;
  static constexpr size_t kChunk = 256;
  static constexpr size_t kMaxBacklog = 1'000'000;

  // Starts the thread. Both must outlive the folder.
  Folder(UserMemory& memory, Metrics& metrics);
  // Stops after the round at work; what is left waits in the log.
  ~Folder();

  // Events of these users, which arrived at `arrival`, are in the log.
  void MarkDirty(absl::Span<const UserAppend> appends, absl::Time arrival)
      ABSL_LOCKS_EXCLUDED(mutex_);
  void MarkDirty(absl::string_view user_id, absl::Time arrival)
      ABSL_LOCKS_EXCLUDED(mutex_);

  // Blocks until every user marked before has been folded, or the time-out.
  bool WaitIdle(absl::Duration timeout) ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  struct DirtyUser {
    std::string user_id;
    absl::Time since;  // arrival of the oldest event that waits
  };

  void Loop() ABSL_LOCKS_EXCLUDED(mutex_);
  void Mark(absl::string_view user_id, absl::Time arrival)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Blocks until there is something to fold; empty at the end.
  std::vector<DirtyUser> TakeBatch() ABSL_LOCKS_EXCLUDED(mutex_);
  // Folds the next chunk of each user. Returns those with more to fold.
  std::vector<DirtyUser> FoldBatch(std::vector<DirtyUser> users);

  UserMemory& memory_;
  Metrics& metrics_;
  const std::unique_ptr<EngineScratch> scratch_;  // of the thread

  absl::Mutex mutex_;
  std::deque<std::string> queue_ ABSL_GUARDED_BY(mutex_);
  // Users in queue_, and since when they wait.
  absl::flat_hash_map<std::string, absl::Time> since_ ABSL_GUARDED_BY(mutex_);
  size_t at_work_ ABSL_GUARDED_BY(mutex_) = 0;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;

  std::thread thread_;
};

}  // namespace qlarank

#endif  // QLARANK_SERVER_PIPELINE_FOLDER_H_
