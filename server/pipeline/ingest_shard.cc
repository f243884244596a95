#include "server/pipeline/ingest_shard.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "server/pipeline/commit_group.h"
#include "server/pipeline/log_damage.h"
#include "server/pipeline/overload.h"
#include "state_store/failpoint.h"

namespace qlarank {
namespace {

// Whose share of the queue erasures take, all together.
constexpr char kErasures[] = "";

}  // namespace

IngestShard::IngestShard(StateStore& store, Metrics& metrics,
                         const Options& options, Hooks hooks)
    : store_(store),
      metrics_(metrics),
      options_(options),
      hooks_(std::move(hooks)),
      room_(options.max_queued_events),
      writer_([this] { WriterLoop(); }) {}

IngestShard::~IngestShard() {
  {
    absl::MutexLock lock(&mutex_);
    stopping_ = true;
  }
  writer_.join();
}

void IngestShard::Append(std::shared_ptr<AppendCall> call,
                         std::vector<uint32_t> indexes) {
  Task task;
  task.call = std::move(call);
  task.indexes = std::move(indexes);
  absl::MutexLock lock(&mutex_);
  tasks_.push_back(std::move(task));
}

void IngestShard::Erase(std::string user_id, ErasureOrder order,
                        EraseDone done) {
  if (!room_.TryTake(kErasures)) {
    return done(OverloadError("too much waits to be written; try again later",
                              kQueueRetryDelay));
  }
  Do([this, user_id = std::move(user_id), order = std::move(order),
      done = std::move(done)]() mutable {
    fence_.Forget(user_id);
    QLARANK_FAILPOINT("delete.begin");
    absl::StatusOr<uint64_t> removed = hooks_.erase(user_id, order);
    room_.Return(kErasures);
    done(std::move(removed));
    QLARANK_FAILPOINT("delete.acknowledged");
  });
}

void IngestShard::Do(absl::AnyInvocable<void()> action) {
  Task task;
  task.action = std::move(action);
  absl::MutexLock lock(&mutex_);
  tasks_.push_back(std::move(task));
}

std::vector<IngestShard::Task> IngestShard::TakeGroup() {
  const auto ready = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return !tasks_.empty() || stopping_;
  };
  std::vector<Task> group;
  size_t num_events = 0;
  absl::MutexLock lock(&mutex_);
  mutex_.Await(absl::Condition(&ready));
  while (!tasks_.empty()) {
    const bool action = tasks_.front().call == nullptr;
    const size_t size = tasks_.front().indexes.size();
    if (!group.empty() &&
        (action || num_events + size > options_.max_group_events)) {
      break;
    }
    num_events += size;
    group.push_back(std::move(tasks_.front()));
    tasks_.pop_front();
    if (action) break;
  }
  return group;
}

void IngestShard::WriterLoop() {
  while (true) {
    std::vector<Task> tasks = TakeGroup();
    if (tasks.empty()) return;
    if (tasks.front().call == nullptr) {
      tasks.front().action();
    } else {
      CommitAppends(tasks);
    }
  }
}

void IngestShard::CommitAppends(std::vector<Task>& tasks) {
  const auto load_head = [this](absl::string_view user_id) {
    absl::StatusOr<UserHead> head = store_.GetHead(user_id);
    ReportDamage(head.status(), user_id, metrics_.state).IgnoreError();
    return head;
  };
  CommitGroup group(options_.max_sources_per_user, load_head, random_);
  std::vector<absl::StatusOr<CommitGroup::Tally>> outcomes;
  outcomes.reserve(tasks.size());
  absl::Time arrival = absl::InfiniteFuture();
  const absl::Time now = absl::Now();
  for (const Task& task : tasks) {
    const v1::AppendEventsRequest& request = task.call->request();
    absl::Status passed = task.call->CheckWanted(now);
    if (passed.ok()) passed = fence_.Pass(request, task.indexes);
    outcomes.push_back(passed.ok() ? group.Admit(request, task.indexes,
                                                 task.call->default_action())
                                   : passed);
    arrival = std::min(arrival, task.call->arrival());
  }

  std::vector<UserAppend> appends = std::move(group).Take();
  absl::Status committed;
  if (!appends.empty()) {
    QLARANK_FAILPOINT("ingest.before_append");
    const absl::Time begin = absl::Now();
    committed = store_.AppendEvents(appends);
    ObserveSeconds(metrics_.ingest.commit_seconds, absl::Now() - begin);
  }
  QLARANK_FAILPOINT("ingest.appended");
  if (committed.ok() && !appends.empty()) hooks_.appended(appends, arrival);
  QLARANK_FAILPOINT("ingest.before_ack");

  CommitGroup::Tally total;
  for (size_t i = 0; i < tasks.size(); ++i) {
    absl::Status status = outcomes[i].status();
    CommitGroup::Tally tally;
    if (status.ok() && !committed.ok()) {
      // Also for a call of duplicates only: what they repeat may be lost.
      status = absl::UnavailableError(absl::StrCat(
          "the event log could not be written: ", committed.message()));
    }
    if (status.ok()) tally = *outcomes[i];
    if (absl::IsUnavailable(status)) {
      fence_.Fail(tasks[i].call->request(), tasks[i].indexes);
    }
    total.applied += tally.applied;
    total.duplicates += tally.duplicates;
    total.late += tally.late;
    room_.Return(tasks[i].call->client(), tasks[i].indexes.size());
    tasks[i].call->SettlePart(status, tally.applied, tally.duplicates);
  }
  QLARANK_FAILPOINT("ingest.acknowledged");
  metrics_.ingest.events_applied.Increment(total.applied);
  metrics_.ingest.events_duplicate.Increment(total.duplicates);
  metrics_.ingest.events_late.Increment(total.late);
  if (total.applied > 0) metrics_.ingest.group_events.Observe(total.applied);
}

}  // namespace qlarank
