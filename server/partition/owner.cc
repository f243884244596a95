#include "server/partition/owner.h"

#include <algorithm>
#include <utility>

#include "absl/time/clock.h"
#include "server/ops/log_throttle.h"
#include "server/ops/logging.h"
#include "server/partition/commit_group.h"
#include "server/partition/refusal.h"
#include "server/states/log_damage.h"
#include "server/work/overload.h"
#include "state_store/failpoint.h"

namespace qlarank {

Owner::Owner(StateStore& store, const SourceMarks& marks, Metrics& metrics,
             const Options& options, OwnerPool& pool)
    : store_(store),
      marks_(marks),
      metrics_(metrics),
      options_(options),
      pool_(pool),
      fence_(metrics.ingest),
      models_(metrics),
      positions_(options.owner, options.num_owners, store.num_partitions()) {}

void Owner::AddModel(FoldedModelPtr model, absl::AnyInvocable<void()> done) {
  Do([this, model = std::move(model), done = std::move(done)]() mutable {
    models_.Add(std::move(model));
    done();
  });
}

void Owner::RemoveModel(uint32_t id, absl::AnyInvocable<void()> done) {
  Do([this, id, done = std::move(done)]() mutable {
    models_.Remove(id);
    done();
  });
}

void Owner::Queue(Task task) {
  {
    absl::MutexLock lock(&mutex_);
    tasks_.push_back(std::move(task));
  }
  pool_.Wake();
}

void Owner::Append(std::shared_ptr<AppendCall> call,
                   std::vector<uint32_t> indexes) {
  Task task;
  task.call = std::move(call);
  task.indexes = std::move(indexes);
  Queue(std::move(task));
}

void Owner::Erase(std::string user_id, ErasureOrder order, EraseDone done) {
  if (!erasures_.TryTake(order.note.principal)) {
    return done(OverloadError(
        "too many erasures wait to be written; try again later",
        kQueueRetryDelay));
  }
  Do([this, user_id = std::move(user_id), order = std::move(order),
      done = std::move(done)]() mutable {
    QLARANK_FAILPOINT("delete.begin");
    absl::StatusOr<uint64_t> removed = EraseNow(user_id, order);
    const bool is_policy = order.only_if != nullptr;
    EraseDone answer = [this, principal = std::move(order.note.principal),
                        done = std::move(done)](
                           absl::StatusOr<uint64_t> result) mutable {
      erasures_.Return(principal);
      done(std::move(result));
    };
    // Of one who stays, or may still be there, refused events are waited for.
    if (removed.ok() && (!is_policy || *removed > 0)) {
      fence_.Forget(user_id);
      EraseRequests(std::move(user_id), is_policy, *removed, std::move(answer));
    } else {
      answer(std::move(removed));
    }
    QLARANK_FAILPOINT("delete.acknowledged");
  });
}

void Owner::EraseRequests(std::string user_id, bool is_policy,
                          uint64_t removed, EraseDone done) {
  RequestLog* const log = options_.request_log;
  if (log != nullptr && !is_policy) {
    return log->Erase(std::move(user_id),
                      [removed, done = std::move(done)](
                          const absl::Status& status) mutable {
                        if (!status.ok()) return done(status);
                        done(removed);
                      });
  }
  // A sweep erases many: the log takes them together, and it waits for none.
  if (log != nullptr) log->Erase(std::move(user_id), nullptr);
  done(removed);
}

void Owner::Trim(std::string user_id, uint64_t first_kept, TrimDone done) {
  Do([this, user_id = std::move(user_id), first_kept,
      done = std::move(done)]() mutable {
    std::vector<std::string> fingerprints;
    for (const auto& entry : *models_.Current()) {
      fingerprints.push_back(
          entry->model->memory->model().engine->state_fingerprint());
    }
    done(store_.TrimLog(user_id, first_kept, fingerprints));
  });
}

void Owner::Do(absl::AnyInvocable<void()> action) {
  Task task;
  task.action = std::move(action);
  Queue(std::move(task));
}

void Owner::CatchUp(uint32_t model_id, absl::string_view user_id) {
  const auto entry = models_.Find(model_id);
  if (entry == nullptr) return;
  entry->folds.Mark(user_id, absl::Now());
  pool_.Wake();
}

bool Owner::WaitIdle(absl::Time deadline) {
  for (const auto& entry : *models_.Current()) {
    if (!entry->folds.WaitIdle(deadline)) return false;
  }
  return true;
}

bool Owner::has_mail() const {
  absl::MutexLock lock(&mutex_);
  return !tasks_.empty();
}

bool Owner::mail_is_exclusive() const {
  absl::MutexLock lock(&mutex_);
  return !tasks_.empty() && tasks_.front().call == nullptr;
}

std::vector<Owner::Task> Owner::TakeGroup() {
  std::vector<Task> group;
  size_t num_events = 0;
  absl::MutexLock lock(&mutex_);
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

void Owner::TakeMail() {
  std::vector<Task> tasks = TakeGroup();
  if (!tasks.empty() && tasks.front().call == nullptr) {
    tasks.front().action();
  } else if (!tasks.empty()) {
    CommitAppends(tasks);
  }
}

void Owner::Fold(size_t slot) {
  for (const auto& entry : *models_.Current()) {
    entry->folds.FoldRound(*entry->model->scratch[slot]);
  }
}

absl::StatusOr<uint64_t> Owner::EraseNow(absl::string_view user_id,
                                         const ErasureOrder& order) {
  if (order.only_if != nullptr) {
    const absl::StatusOr<UserHead> head = store_.GetHead(user_id);
    if (!head.ok()) return head.status();
    if (!order.only_if(*head)) return 0;
  }
  absl::StatusOr<uint64_t> removed = store_.DeleteUser(user_id, order.note);
  QLARANK_FAILPOINT("delete.before_forget");
  for (const auto& entry : *models_.Current()) {
    entry->model->memory->Forget(user_id);
    entry->folds.Forget(user_id);
  }
  if (removed.ok() && *removed > 0) metrics_.state.users_deleted.Increment();
  return removed;
}

EventStamp Owner::StampFor(const AppendCall& call) const {
  EventStamp stamp = call.stamp();
  if (options_.catalogue != nullptr) {
    stamp.catalogue_version = options_.catalogue->version();
  }
  return stamp;
}

void Owner::CommitAppends(std::vector<Task>& tasks) {
  const auto load_head = [this](absl::string_view user_id) {
    const auto head = store_.GetHeadToExtend(user_id);
    ReportDamage(head.status(), user_id, metrics_.state).IgnoreError();
    return head;
  };
  CommitGroup group(options_.max_sources_per_user, marks_, fence_, load_head,
                    positions_);
  std::vector<AppendTally> tallies(tasks.size());
  absl::Time arrival = absl::InfiniteFuture();
  const absl::Time now = absl::Now();
  for (size_t i = 0; i < tasks.size(); ++i) {
    const Task& task = tasks[i];
    const absl::Status wanted = task.call->CheckWanted(now);
    if (wanted.ok()) {
      tallies[i] = group.Admit(task.call->request(), task.indexes,
                               StampFor(*task.call));
    } else {
      RefuseAll(task, NotWanted(wanted), tallies[i]);
    }
    arrival = std::min(arrival, task.call->arrival());
  }

  std::vector<UserAppend> appends = std::move(group).Take();
  absl::Status committed;
  if (!appends.empty()) {
    QLARANK_FAILPOINT("ingest.before_append");
    const absl::Time begin = absl::Now();
    committed = store_.AppendEvents(appends, positions_.Changes());
    committed.ok() ? positions_.Keep() : positions_.TakeBack();
    ObserveSeconds(metrics_.ingest.commit_seconds, absl::Now() - begin);
  }
  QLARANK_FAILPOINT("ingest.appended");
  QLARANK_FAILPOINT("ingest.before_ack");

  uint64_t applied = 0;
  for (size_t i = 0; i < tasks.size(); ++i) {
    AppendTally& tally = tallies[i];
    if (!committed.ok()) {
      // Duplicates too: what they repeat may be lost.
      RefuseAll(tasks[i], NotWritten(committed.message()), tally);
    }
    Count(tally, tasks[i]);
    applied += tally.applied;
    tasks[i].call->LeftQueue(options_.owner, tasks[i].indexes.size());
    tasks[i].call->SettlePart(std::move(tally));
  }
  QLARANK_FAILPOINT("ingest.acknowledged");
  if (committed.ok() && !appends.empty()) {
    const auto models = models_.Current();
    for (size_t i = 1; i < models->size(); ++i) {
      (*models)[i]->folds.Append(appends, arrival);
    }
    models->front()->folds.Append(std::move(appends), arrival);
  }
  if (applied > 0) metrics_.ingest.group_events.Observe(applied);
}

void Owner::RefuseAll(const Task& task, const absl::Status& status,
                      AppendTally& tally) {
  const v1::AppendEventsRequest& request = task.call->request();
  std::vector<EventRefusal> refusals = std::move(tally.refusals);
  tally = AppendTally();
  size_t next = 0;  // of refusals, which are in order
  for (const uint32_t i : task.indexes) {
    if (next < refusals.size() && refusals[next].index == i) {
      tally.refusals.push_back(std::move(refusals[next++]));
      continue;
    }
    const v1::UserEvent& event = request.events(i);
    fence_.Refuse(event.user_id(), request.source(), event.sequence());
    tally.refusals.push_back({i, status});
  }
}

void Owner::Count(const AppendTally& tally, const Task& task) {
  metrics_.ingest.events_applied.Increment(tally.applied);
  metrics_.ingest.events_duplicate.Increment(tally.duplicates.size());
  metrics_.ingest.events_late.Increment(tally.late);
  if (tally.refusals.empty()) return;
  const size_t held_back = std::count_if(
      tally.refusals.begin(), tally.refusals.end(),
      [](const EventRefusal& r) { return absl::IsAborted(r.status); });
  metrics_.ingest.events_held_back.Increment(held_back);
  metrics_.ingest.events_refused.Increment(tally.refusals.size() - held_back);
  static LogThrottle throttle(absl::Seconds(10));
  if (held_back == 0) return;
  if (const auto unsaid = throttle.Admit(absl::Now())) {
    LogWarning("events wait for refused ones to be sent again",
               {{"source", task.call->request().source()},
                {"events", held_back},
                {"waited_for", fence_.size()},
                {"unsaid", *unsaid}});
  }
}

}  // namespace qlarank
