// Keeps what is remembered of users within the bounds that the configuration
// sets: erases users who have been idle for too long, trims logs of events that
// are too old or too many and that snapshots stand for, and makes what was
// erased leave the store's files. One thread, which sleeps most of the time.
//
// docs/operations.md says what each policy means for rebuilding states.
//
// Everything goes by the time of events and the clock of the machine. A clock
// that jumps must not erase anybody: when it disagrees with the time that passed
// since the start, sweeps stop until the server is started again.
#ifndef QLARANK_SERVER_PIPELINE_RETENTION_H_
#define QLARANK_SERVER_PIPELINE_RETENTION_H_

#include <cstdint>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/notification.h"
#include "absl/time/time.h"
#include "config/server_options.h"
#include "server/ops/metrics.h"
#include "server/pipeline/ingest_pipeline.h"
#include "server/pipeline/model_registry.h"
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
  Retention(StateStore& store, IngestPipeline& ingest,
            const ModelRegistry& models, Metrics& metrics,
            const RetentionOptions& options);
  // Stops after the user at work on.
  ~Retention();

  // One round over all users, as of `now`. What fails is counted and tried again
  // in the next round. Blocks; for the thread and for tests.
  void Sweep(absl::Time now);
  // Purges what was erased. Likewise.
  void Purge();

  // Whether `now` is what the clock should show, `elapsed` after `start`.
  static bool ClockIsSane(absl::Time start, absl::Duration elapsed,
                          absl::Time now);

 private:
  struct Candidate {
    std::string user_id;
    UserHead head;
  };

  void Loop();
  void EraseIdle(const std::string& user_id, int64_t cutoff_us);
  void Trim(const Candidate& candidate, absl::Time now);
  // The first event to keep by the policies, whatever snapshots there are.
  absl::StatusOr<uint64_t> FirstKept(const Candidate& candidate,
                                     absl::Time now) const;
  absl::StatusOr<uint64_t> FirstYoung(const Candidate& candidate,
                                      int64_t cutoff_us) const;
  // The greatest sequence that snapshots of every model stand for.
  absl::StatusOr<uint64_t> Snapshotted(const Candidate& candidate) const;
  void Fail(absl::string_view doing, const absl::Status& status);

  StateStore& store_;
  IngestPipeline& ingest_;
  const ModelRegistry& models_;
  Metrics& metrics_;
  const RetentionOptions options_;
  absl::Notification stop_;
  std::thread thread_;
};

}  // namespace qlarank

#endif  // QLARANK_SERVER_PIPELINE_RETENTION_H_
