// Keeps what is remembered of users within the bounds that the configuration
// sets: erases users who have been idle for too long, trims logs of events that
// are too old or too many and that snapshots stand for, and makes what was
// erased leave the store's files. One thread, which sleeps most of the time.
//
// docs/operations.md says what each policy means for rebuilding states.
//
// Everything goes by the time of events and the clock of the machine. A wrong
// clock must not erase anybody: when it disagrees with the time that passed since
// the start, sweeps stop until the server is started again; when it contradicts
// the newest event of the store, or what would go is too large a share of it,
// nothing is removed for its age (sweep_bounds.h). Both are errors in the log, and
// a metric as long as they last.
#ifndef QLARANK_SERVER_UPKEEP_RETENTION_H_
#define QLARANK_SERVER_UPKEEP_RETENTION_H_

#include <cstdint>
#include <deque>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/notification.h"
#include "absl/time/time.h"
#include "config/server_options.h"
#include "server/metrics/metrics.h"
#include "server/models/model_registry.h"
#include "server/partition/partitions.h"
#include "server/upkeep/sweep_bounds.h"
#include "state_store/state_store.h"

namespace qlarank {

class Retention {
 public:
  // Trimming less than this at once would write more, a snapshot each time, than
  // it saves.
  static constexpr uint64_t kMinTrimmedEvents = 64;
  // Further apart than this, clock and time passed do not agree.
  static constexpr absl::Duration kMaxClockDrift = absl::Minutes(10);

  // Starts the thread. All must outlive this.
  Retention(StateStore& store, Partitions& partitions,
            const ModelRegistry& models, Metrics& metrics,
            const RetentionOptions& options);
  // Stops after the user at work on.
  ~Retention();

  // One round over all users, as of `now`: twice, once to count. What fails is
  // counted and tried again in the next round. Blocks; for the thread and for
  // tests, one call at a time.
  void Sweep(absl::Time now);
  // Purges what was erased, at kPurgedBytesPerSecond at most. Likewise.
  void Purge();
  static constexpr int64_t kPurgedBytesPerSecond = int64_t{32} << 20;

  // Whether `now` is what the clock should show, `elapsed` after `start`.
  static bool ClockIsSane(absl::Time start, absl::Duration elapsed,
                          absl::Time now);

 private:
  struct Candidate {
    std::string user_id;
    UserHead head;
  };

  // What went in one sweep, or at one time of it.
  struct Removed {
    absl::Time time;
    uint64_t users = 0;
    uint64_t events_by_age = 0;
    uint64_t events = 0;
  };
  // One sweep under way.
  struct Round {
    absl::Time now;
    // The policies, without those that may not be applied this time.
    RetentionOptions policies;
    StoreCensus census;
    uint64_t events_by_age_left = 0;  // that may still go today
    Removed removed = {};
  };

  void Loop();
  // Damaged heads are left out: who goes over the users next reports them.
  absl::StatusOr<StoreCensus> TakeCensus(absl::Time now);
  // Decides what may be done, and says what may not.
  Round Begin(absl::Time now, const StoreCensus& census);
  void End(const Round& round);
  // Of the sweeps within the last 24 hours.
  Removed RemovedToday(absl::Time now);
  void Refuse(const absl::Status& why);
  void EraseIdle(const std::string& user_id, int64_t cutoff_us, Round& round);
  void Trim(const Candidate& candidate, Round& round);
  // Whether so many more events may go for their age; if not, none do for the
  // rest of the round.
  bool MayRemoveByAge(uint64_t events, Round& round);
  // The first event to keep by max_events_per_user, whatever snapshots there are.
  uint64_t FirstOfNewest(const Candidate& candidate,
                         const RetentionOptions& policies) const;
  absl::StatusOr<uint64_t> FirstYoung(const Candidate& candidate,
                                      int64_t cutoff_us) const;
  // Of the models that are served, and of those that were before a restart and
  // could not be loaded since: theirs wait for a bundle that is mended.
  std::vector<std::string> NeededFingerprints() const;
  // The greatest sequence that snapshots under every one of them stand for.
  absl::StatusOr<uint64_t> Snapshotted(const Candidate& candidate) const;
  void Fail(absl::string_view doing, const absl::Status& status);

  StateStore& store_;
  Partitions& partitions_;
  const ModelRegistry& models_;
  Metrics& metrics_;
  const RetentionOptions options_;
  std::deque<Removed> history_;  // the oldest first
  absl::Notification stop_;
  std::thread thread_;
};

}  // namespace qlarank

#endif  // QLARANK_SERVER_UPKEEP_RETENTION_H_
