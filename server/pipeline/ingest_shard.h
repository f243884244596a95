// One writer of the event log, and the queue before it.
//
// Every user belongs to one shard, so a user's appends are ordered without a
// lock per user. The writer takes all that waits, up to a bound, and commits it
// with one sync: the more load, the larger the groups.
//
// Thread-safe. Callbacks run on the writer's thread and must not block.
#ifndef QLARANK_SERVER_PIPELINE_INGEST_SHARD_H_
#define QLARANK_SERVER_PIPELINE_INGEST_SHARD_H_

#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/random/random.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "absl/types/span.h"
#include "server/ops/metrics.h"
#include "server/pipeline/append_call.h"
#include "server/pipeline/fair_quota.h"
#include "server/pipeline/gap_fence.h"
#include "server/pipeline/source_marks.h"
#include "state_store/state_store.h"

namespace qlarank {

class IngestShard {
 public:
  struct Options {
    size_t max_group_events = 4096;
    size_t max_sources_per_user = 64;
    // That requests' event features are of: StateStore::PutSchema.
    uint32_t event_schema = 0;
  };

  struct ErasureOrder {
    ErasureNote note;
    // Looked at in the user's turn: they stay when it says no. Null: they go.
    std::function<bool(const UserHead& head)> only_if;
  };

  // Erasures that wait for the writer: a queue that no append can fill.
  static constexpr size_t kMaxQueuedErasures = 1024;

  // What happens beside the log.
  struct Hooks {
    // So many events of the client have left the queue.
    std::function<void(absl::string_view client, size_t num_events)> left;
    // Events of these users, which arrived at `arrival` or later, are durable.
    std::function<void(absl::Span<const UserAppend> appends,
                       absl::Time arrival)>
        appended;
    // Erases a user; returns the number of events removed.
    std::function<absl::StatusOr<uint64_t>(absl::string_view user_id,
                                           const ErasureOrder& order)>
        erase;
  };

  using EraseDone = absl::AnyInvocable<void(absl::StatusOr<uint64_t>)>;

  // All of them must outlive the shard.
  IngestShard(StateStore& store, const SourceMarks& marks, GapFence& fence,
              Metrics& metrics, const Options& options, Hooks hooks);
  // Commits what is queued, then stops.
  ~IngestShard();

  // Queues the events of `call` at `indexes`, for which room was taken. The
  // call's part is settled once they are durable, and Hooks::left called.
  void Append(std::shared_ptr<AppendCall> call, std::vector<uint32_t> indexes)
      ABSL_LOCKS_EXCLUDED(mutex_);

  // Erases a user, after the appends queued before it. RESOURCE_EXHAUSTED at
  // once when too many erasures wait, of who ordered it or of all.
  void Erase(std::string user_id, ErasureOrder order, EraseDone done)
      ABSL_LOCKS_EXCLUDED(mutex_);

  // Runs `action` on the writer's thread, after the appends queued before it:
  // for what must not overlap with appends.
  void Do(absl::AnyInvocable<void()> action) ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  // A part of an append, or an action (then `call` is null).
  struct Task {
    std::shared_ptr<AppendCall> call;
    std::vector<uint32_t> indexes;
    absl::AnyInvocable<void()> action;
  };

  void WriterLoop() ABSL_LOCKS_EXCLUDED(mutex_);
  // The tasks to handle next: one action, or appends for one group. Blocks
  // until there are any; empty at the end.
  std::vector<Task> TakeGroup() ABSL_LOCKS_EXCLUDED(mutex_);
  void CommitAppends(std::vector<Task>& tasks);
  // Refuses all events of a task but those that `tally` has refused, and has the
  // fence remember them.
  void RefuseAll(const Task& task, const absl::Status& status,
                 AppendTally& tally);
  void Count(const AppendTally& tally, const Task& task);

  StateStore& store_;
  const SourceMarks& marks_;
  GapFence& fence_;
  Metrics& metrics_;
  const Options options_;
  const Hooks hooks_;

  FairQuota erasures_{kMaxQueuedErasures};  // by principal
  absl::Mutex mutex_;
  std::deque<Task> tasks_ ABSL_GUARDED_BY(mutex_);
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;

  absl::BitGen random_;  // the writer's own

  std::thread writer_;
};

}  // namespace qlarank

#endif  // QLARANK_SERVER_PIPELINE_INGEST_SHARD_H_
