// Writes snapshots of user states, of all models and many at a time, on a thread
// of its own: a write to the store may wait for a sync of the log, and nobody
// who folds or ranks should.
//
// A snapshot that waits here is lost in a crash, as is one in the store's
// memory: it is rebuilt from the log. The store drops one of a user who was
// erased meanwhile.
//
// Thread-safe.
#ifndef QLARANK_SERVER_STATES_SNAPSHOT_WRITER_H_
#define QLARANK_SERVER_STATES_SNAPSHOT_WRITER_H_

#include <cstddef>
#include <deque>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "model/engine.h"
#include "server/metrics/metrics.h"
#include "server/states/user_fold.h"
#include "state_store/state_snapshots.h"

namespace qlarank {

class SnapshotWriter {
 public:
  static constexpr size_t kMaxQueued = 256;
  static constexpr size_t kMaxBatch = 64;

  // Both must outlive the writer.
  SnapshotWriter(StateSnapshots& store, Metrics& metrics);
  // Writes what is queued, then stops.
  ~SnapshotWriter();

  using EnginePtr = std::shared_ptr<const Engine>;

  // Queues a snapshot of a state that `engine` made; false when too many wait.
  bool Offer(const EnginePtr& engine, absl::string_view user_id,
             const KnownState& known) ABSL_LOCKS_EXCLUDED(mutex_);
  // Waits for room, then queues it.
  void Put(const EnginePtr& engine, absl::string_view user_id,
           const KnownState& known) ABSL_LOCKS_EXCLUDED(mutex_);

  // Blocks until all that was queued before is written. An error if a write has
  // failed since the last call.
  absl::Status AwaitWritten() ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  struct Queued {
    EnginePtr engine;
    std::string user_id;
    uint64_t incarnation;
    std::shared_ptr<const UserState> state;
    int64_t newest_event_time_us;
  };

  void Loop() ABSL_LOCKS_EXCLUDED(mutex_);
  // What is next, all of one engine.
  std::vector<Queued> TakeBatch() ABSL_LOCKS_EXCLUDED(mutex_);
  absl::Status Write(const std::vector<Queued>& batch);
  void Queue(const EnginePtr& engine, absl::string_view user_id,
             const KnownState& known) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  StateSnapshots& store_;
  Metrics& metrics_;

  absl::Mutex mutex_;
  std::deque<Queued> queue_ ABSL_GUARDED_BY(mutex_);
  uint64_t num_queued_ ABSL_GUARDED_BY(mutex_) = 0;   // ever
  uint64_t num_written_ ABSL_GUARDED_BY(mutex_) = 0;  // ever, or failed to be
  absl::Status status_ ABSL_GUARDED_BY(mutex_);
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;

  std::thread thread_;
};

}  // namespace qlarank

#endif  // QLARANK_SERVER_STATES_SNAPSHOT_WRITER_H_
