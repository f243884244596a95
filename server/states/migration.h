// Brings all users' states of a model up to the log while others are served by
// another: whoever comes to the new model then finds a state, and nobody waits
// for a long replay.
//
// It is a reader among others: it folds what is missing into a copy, from the
// newest snapshot or from the beginning, and has the result saved as a snapshot,
// which only ever goes forward (state_snapshots.h). What is appended meanwhile
// the users' owners fold. So nothing has to be held up, and what is done already,
// before a crash or by an owner, is found done.
//
// Users who were active last are first. A user of whom no more than `max_behind`
// events are left is *covered*: to replay so few takes no time.
//
// One thread, which works between requests, for a share of the time, and sleeps
// for the rest (server/work/background_pace.h); what it folds is folded by
// threads that stand back behind who serves (server/work/stand_back.h).
#ifndef QLARANK_SERVER_STATES_MIGRATION_H_
#define QLARANK_SERVER_STATES_MIGRATION_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_set.h"
#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "server/states/user_fold.h"
#include "server/states/user_memory.h"
#include "server/work/background_pace.h"
#include "server/work/stand_back.h"
#include "state_store/event_log.h"

namespace qlarank {

class Migration {
 public:
  struct Options {
    // Of one processor, above 0 and at most 1.
    double processor_share = 0.5;
    uint64_t max_behind = 64;
    // Whether something is being served, which it then makes way for; null:
    // nothing ever is.
    BackgroundPace::Busy busy = nullptr;
  };

  enum class Phase { kCounting, kFolding, kDone, kStopped, kFailed };

  // So far. Users who come while it runs are not counted: their owners fold
  // their events.
  struct Progress {
    Phase phase = Phase::kCounting;
    uint64_t users = 0;          // as counted
    uint64_t covered_users = 0;  // of them
    // Of damaged logs, or whose events make a state that is not finite.
    uint64_t failed_users = 0;
    // Of logs that were trimmed before this model had a snapshot of them.
    uint64_t trimmed_users = 0;
    uint64_t folded_events = 0;
    uint64_t events_left = 0;
    double events_per_second = 0;           // since folding began
    std::optional<absl::Duration> time_left;  // when anything is known of it
    absl::Status status;                    // of kFailed

    // The share of the users who are covered; 1 without any.
    double coverage() const {
      return users == 0 ? 1 : static_cast<double>(covered_users) /
                                  static_cast<double>(users);
    }
  };

  // Begins at once. `memory` is the model's. `on_end`, unless null, is called
  // once, on the thread, when it is done or has failed, not when it is stopped.
  // The log must outlive this.
  Migration(std::shared_ptr<UserMemory> memory, const EventLog& log,
            const Options& options,
            absl::AnyInvocable<void(const Progress&)> on_end = nullptr);
  // Stops it.
  ~Migration();

  // Returns when the thread has ended. What is folded stays.
  void Stop();

  Progress progress() const ABSL_LOCKS_EXCLUDED(mutex_);

  // Blocks until it has ended, however it has. For tests.
  void Await() { ended_.WaitForNotification(); }

 private:
  // A user whose state is being folded.
  struct Replay {
    std::string user_id;
    UserMemory::Lookup lookup;
  };

  void Run();
  // ABORTED when it was stopped, or what the store says.
  absl::Status Migrate();
  // Counts users and their events, by heads alone.
  absl::Status Count();
  // Folds for those whose newest event is of [from_us, to_us) and who were not
  // taken before.
  absl::Status Visit(int64_t from_us, int64_t to_us);
  // Looks up a user, whose events then wait to be folded if they are many.
  absl::Status Take(absl::string_view user_id, const UserHead& head);
  // Folds what waits until nothing does, and rests.
  absl::Status FoldAll();
  void Fold(absl::Span<UserFold> folds);
  // Folds the next events of each; drops those that are done or failed.
  absl::Status FoldRound();
  // Events that are in a state, and users who are covered.
  void NoteDone(uint64_t events, uint64_t users) ABSL_LOCKS_EXCLUDED(mutex_);
  // Of one user, who is counted. OK if the others can go on.
  absl::Status NoteFailed(absl::string_view user_id,
                          const absl::Status& status);
  // After a little work: rests, where it is time to. ABORTED when it is to stop.
  absl::Status Rest();

  const std::shared_ptr<UserMemory> memory_;
  const EventLog& log_;
  const Options options_;
  absl::AnyInvocable<void(const Progress&)> on_end_;

  // The thread's.
  std::unique_ptr<EngineScratch> scratch_;
  std::vector<Replay> replays_;
  size_t batch_events_;
  uint64_t waiting_events_ = 0;  // of replays_
  int64_t newest_us_ = 0;        // event of all
  StandBackThread folding_;  // reads and writes are not for it: they take locks
  BackgroundPace pace_;
  // Hashes of the users who were: each is looked up once, and their snapshot
  // read.
  absl::flat_hash_set<size_t> taken_;

  mutable absl::Mutex mutex_;
  Progress progress_ ABSL_GUARDED_BY(mutex_);
  absl::Time folding_since_ ABSL_GUARDED_BY(mutex_);

  absl::Notification stop_, ended_;
  std::thread thread_;
};

}  // namespace qlarank

#endif  // QLARANK_SERVER_STATES_MIGRATION_H_
