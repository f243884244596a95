#include "server/pipeline/fold_lane.h"

#include <algorithm>
#include <utility>

#include "absl/time/clock.h"
#include "state_store/failpoint.h"

namespace qlarank {
namespace {

LogTail TailOf(const UserAppend& append) {
  LogTail tail;
  tail.incarnation = append.head_after.incarnation;
  tail.first_sequence =
      append.head_after.last_sequence - append.events.size() + 1;
  tail.events = append.events;
  return tail;
}

}  // namespace

FoldLane::FoldLane(UserMemory& memory, Metrics& metrics)
    : memory_(memory),
      metrics_(metrics),
      scratch_(memory.engine().NewScratch()),
      thread_([this] { Loop(); }) {}

FoldLane::~FoldLane() {
  {
    absl::MutexLock lock(&mutex_);
    stopping_ = true;
  }
  thread_.join();
  // The gauge is shared between models.
  metrics_.ingest.fold_backlog_users.Decrement(waiting_.size());
}

void FoldLane::Mark(absl::string_view user_id, Waiting waiting) {
  if (queue_.size() >= kMaxBacklog) return;
  const auto [user, inserted] = waiting_.try_emplace(user_id);
  Waiting& known = user->second;
  if (inserted) {
    queue_.emplace_back(user_id);
    metrics_.ingest.fold_backlog_users.Increment();
    known.since = waiting.since;
  }
  known.since = std::min(known.since, waiting.since);
  if (waiting.tail.events.empty()) return;
  held_events_ -= known.tail.events.size();
  if (held_events_ + waiting.tail.events.size() > kMaxHeldEvents) {
    known.tail = LogTail();
  } else {
    known.tail.Extend(std::move(waiting.tail));
  }
  held_events_ += known.tail.events.size();
}

void FoldLane::MarkRest(DirtyUser user) {
  const auto newer = waiting_.find(user.user_id);
  if (newer == waiting_.end()) {
    return Mark(user.user_id, std::move(user.waiting));
  }
  Waiting& known = newer->second;
  known.since = std::min(known.since, user.waiting.since);
  held_events_ -= known.tail.events.size();
  if (held_events_ + known.tail.events.size() +
          user.waiting.tail.events.size() >
      kMaxHeldEvents) {
    known.tail = LogTail();
  } else {
    known.tail.Precede(std::move(user.waiting.tail));
  }
  held_events_ += known.tail.events.size();
}

void FoldLane::MarkDirty(absl::Span<const UserAppend* const> appends,
                         absl::Time arrival) {
  absl::MutexLock lock(&mutex_);
  for (const UserAppend* append : appends) {
    Mark(append->user_id, {arrival, TailOf(*append)});
  }
}

void FoldLane::MarkDirty(absl::string_view user_id, absl::Time arrival) {
  absl::MutexLock lock(&mutex_);
  Mark(user_id, {arrival, LogTail()});
}

bool FoldLane::WaitIdle(absl::Time deadline) {
  const auto idle = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return queue_.empty() && at_work_ == 0;
  };
  absl::MutexLock lock(&mutex_);
  return mutex_.AwaitWithDeadline(absl::Condition(&idle), deadline);
}

std::vector<FoldLane::DirtyUser> FoldLane::TakeRound() {
  const auto ready = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return !queue_.empty() || stopping_;
  };
  std::vector<DirtyUser> round;
  size_t num_events = 0;
  absl::MutexLock lock(&mutex_);
  mutex_.Await(absl::Condition(&ready));
  if (stopping_) return round;
  while (!queue_.empty() && round.size() < kRoundUsers &&
         num_events < kRoundEvents) {
    // Out of waiting_ from here on: an event that comes while the user is being
    // folded marks it again.
    auto user = waiting_.extract(queue_.front());
    num_events += user.mapped().tail.events.size();
    held_events_ -= user.mapped().tail.events.size();
    round.push_back({std::move(queue_.front()), std::move(user.mapped())});
    queue_.pop_front();
  }
  at_work_ = round.size();
  metrics_.ingest.fold_backlog_users.Decrement(round.size());
  return round;
}

void FoldLane::Loop() {
  while (true) {
    std::vector<DirtyUser> round = TakeRound();
    if (round.empty()) return;
    std::vector<DirtyUser> rest = FoldRound(std::move(round));
    absl::MutexLock lock(&mutex_);
    at_work_ = 0;
    for (DirtyUser& user : rest) MarkRest(std::move(user));
  }
}

std::vector<FoldLane::DirtyUser> FoldLane::FoldRound(
    std::vector<DirtyUser> users) {
  std::vector<DirtyUser> rest;
  std::vector<UserFold> folds;
  std::vector<size_t> folded;  // the user that each of folds belongs to
  folds.reserve(users.size());
  for (size_t i = 0; i < users.size(); ++i) {
    // A state or a log that cannot be read stays as it is: a look-up tells its
    // caller why, and the next event tries again.
    absl::StatusOr<UserFold> fold =
        memory_.BeginFold(users[i].user_id, users[i].waiting.tail, kChunk);
    if (absl::IsAborted(fold.status())) {  // the log is another one now
      users[i].waiting.tail = LogTail();
      rest.push_back(std::move(users[i]));
    }
    if (!fold.ok()) continue;
    folds.push_back(*std::move(fold));
    folded.push_back(i);
  }
  QLARANK_FAILPOINT("fold.begin");
  memory_.RunFolds(absl::MakeSpan(folds), *scratch_);
  QLARANK_FAILPOINT("fold.folded");

  const absl::Time now = absl::Now();
  for (size_t k = 0; k < folds.size(); ++k) {
    DirtyUser& user = users[folded[k]];
    // Reported already; whoever asks for the state is told.
    if (!folds[k].status().ok()) continue;
    const absl::Duration lag = now - user.waiting.since;
    memory_
        .Publish(user.user_id, folds[k].after(),
                 lag < kBehind ? UserMemory::Snapshots::kInTime
                               : UserMemory::Snapshots::kPostponed)
        .IgnoreError();
    QLARANK_FAILPOINT("fold.published");
    if (folds[k].complete()) {
      if (folds[k].had_events()) {
        ObserveSeconds(metrics_.ingest.lag_seconds, lag);
      }
    } else {
      rest.push_back(std::move(user));
    }
  }
  return rest;
}

}  // namespace qlarank
