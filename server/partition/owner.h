// The one owner of some partitions, each a share of the users: only it extends
// their logs, erases and trims them, folds their events into the states of every
// model, and publishes these. So an event's life is a straight line: mailbox ->
// log -> acknowledgement -> state -> cache; and nothing of it needs a check that
// nobody else came between.
//
// It works on threads that owners share (owner_pool.h): one takes what waits, up
// to a bound, and commits it with one sync, so that groups grow with the load,
// and acknowledges it; while that waits for the disk, another folds what was
// committed before. An erasure, and what else an action does, has the owner to
// itself.
//
// Everyone else only reads: the log, snapshots, and what is published. Methods
// are thread-safe but for those of the pool. Callbacks run on the thread that
// takes the mail and must not block.
#ifndef QLARANK_SERVER_PARTITION_OWNER_H_
#define QLARANK_SERVER_PARTITION_OWNER_H_

#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "absl/types/span.h"
#include "server/catalogue/live_catalogue.h"
#include "server/metrics/metrics.h"
#include "server/partition/append_call.h"
#include "server/partition/folded_models.h"
#include "server/partition/gap_fence.h"
#include "server/partition/owner_pool.h"
#include "server/partition/partition_positions.h"
#include "server/partition/source_marks.h"
#include "server/request_log/request_log.h"
#include "server/work/fair_quota.h"
#include "state_store/state_store.h"

namespace qlarank {

class Owner final : public OwnerPool::Member {
 public:
  struct Options {
    size_t owner = 0;  // which one of num_owners it is
    size_t num_owners = 1;
    size_t max_group_events = 4096;
    size_t max_sources_per_user = 64;
    // Whose version events are stamped with. Null: nothing was ever upserted.
    const LiveCatalogue* catalogue = nullptr;
    // Told who was erased. Null: there is none.
    RequestLog* request_log = nullptr;
  };

  struct ErasureOrder {
    ErasureNote note;
    // Looked at in the user's turn: they stay when it says no. Null: they go.
    std::function<bool(const UserHead& head)> only_if;
  };

  // Erasures that wait: a queue that no append can fill.
  static constexpr size_t kMaxQueuedErasures = 1024;
  using EraseDone = absl::AnyInvocable<void(absl::StatusOr<uint64_t>)>;
  using TrimDone = absl::AnyInvocable<void(absl::Status)>;

  // Owns every partition of the store whose number is `owner`, modulo
  // num_owners. All of them must outlive the owner.
  Owner(StateStore& store, const SourceMarks& marks, Metrics& metrics,
        const Options& options, OwnerPool& pool);

  // Folds for `model`, too, or no more for the one of that id: as Do does it.
  // What was appended before a model was added waits in the log until somebody
  // asks for the user's state.
  void AddModel(FoldedModelPtr model, absl::AnyInvocable<void()> done);
  void RemoveModel(uint32_t id, absl::AnyInvocable<void()> done);

  // Takes up where its partitions stand; once, before anything else. DATA_LOSS or
  // UNAVAILABLE when that cannot be read.
  absl::Status Load() { return positions_.Load(store_); }

  // Queues the events of `call` at `indexes`, for which room was taken: the call
  // is told when they have left the queue, and what became of them.
  void Append(std::shared_ptr<AppendCall> call, std::vector<uint32_t> indexes)
      ABSL_LOCKS_EXCLUDED(mutex_);

  // Erases a user, after the appends queued before it, and their requests from
  // the request log: without only_if, `done` waits for that. RESOURCE_EXHAUSTED
  // at once when too many erasures wait, of who ordered it or of all.
  // UNAVAILABLE when they may still be there.
  void Erase(std::string user_id, ErasureOrder order, EraseDone done)
      ABSL_LOCKS_EXCLUDED(mutex_);

  // Removes the user's events before `first_kept`, when every model has a
  // snapshot of them: StateStore::TrimLog, ordered like an erasure.
  void Trim(std::string user_id, uint64_t first_kept, TrimDone done)
      ABSL_LOCKS_EXCLUDED(mutex_);

  // Runs `action` after the appends queued before it, and while nothing is
  // folded: for what must not overlap with either.
  void Do(absl::AnyInvocable<void()> action) ABSL_LOCKS_EXCLUDED(mutex_);

  // Brings a user's published state up to date, of the model of that id if it
  // folds for it: for readers who did not find it so.
  void CatchUp(uint32_t model_id, absl::string_view user_id);
  // Blocks until every user who waited is folded, for every model, or
  // `deadline`; false for the latter.
  bool WaitIdle(absl::Time deadline);

  // What refused events hold back.
  GapFence& fence() { return fence_; }

  // For the pool.
  bool has_mail() const override ABSL_LOCKS_EXCLUDED(mutex_);
  bool mail_is_exclusive() const override ABSL_LOCKS_EXCLUDED(mutex_);
  bool has_folds() const override { return models_.has_work(); }
  void TakeMail() override ABSL_LOCKS_EXCLUDED(mutex_);
  void Fold(size_t slot) override;

 private:
  // A part of an append, or an action (then `call` is null).
  struct Task {
    std::shared_ptr<AppendCall> call;
    std::vector<uint32_t> indexes;
    absl::AnyInvocable<void()> action;
  };

  void Queue(Task task) ABSL_LOCKS_EXCLUDED(mutex_);
  // The tasks to handle next: one action, or appends for one group.
  std::vector<Task> TakeGroup() ABSL_LOCKS_EXCLUDED(mutex_);
  void CommitAppends(std::vector<Task>& tasks);
  // What events that are committed now get.
  EventStamp StampFor(const AppendCall& call) const;
  absl::StatusOr<uint64_t> EraseNow(absl::string_view user_id,
                                    const ErasureOrder& order);
  // Has the request log forget a user who was erased, and answers: what was
  // ordered by name once that is done.
  void EraseRequests(std::string user_id, bool is_policy, uint64_t removed,
                     EraseDone done);
  // Refuses all events of a task but those that `tally` has refused, and has the
  // fence remember them.
  void RefuseAll(const Task& task, const absl::Status& status,
                 AppendTally& tally);
  void Count(const AppendTally& tally, const Task& task);

  StateStore& store_;
  const SourceMarks& marks_;
  Metrics& metrics_;
  const Options options_;
  OwnerPool& pool_;

  // Used by the pool's calls, as they say; fence and models by anybody.
  GapFence fence_;
  FoldedModels models_;
  PartitionPositions positions_;

  FairQuota erasures_{kMaxQueuedErasures};  // by principal
  mutable absl::Mutex mutex_;
  std::deque<Task> tasks_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace qlarank

#endif  // QLARANK_SERVER_PARTITION_OWNER_H_
