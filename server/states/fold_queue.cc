#include "server/states/fold_queue.h"

#include <algorithm>
#include <utility>

#include "absl/time/clock.h"
#include "state_store/failpoint.h"

namespace qlarank {
namespace {

LogTail TailOf(UserAppend append) {
  LogTail tail;
  tail.incarnation = append.head_after.incarnation;
  tail.first_sequence =
      append.head_after.last_sequence - append.events.size() + 1;
  tail.events = std::move(append.events);
  return tail;
}

}  // namespace

FoldQueue::FoldQueue(UserMemory& memory, Metrics& metrics)
    : memory_(memory), metrics_(metrics) {}

FoldQueue::~FoldQueue() {
  // The gauge is shared.
  metrics_.ingest.fold_backlog_users.Decrement(waiting_.size());
}

void FoldQueue::Add(absl::string_view user_id, Waiting waiting) {
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

void FoldQueue::AddRest(DirtyUser user) {
  const auto newer = waiting_.find(user.user_id);
  if (newer == waiting_.end()) {
    return Add(user.user_id, std::move(user.waiting));
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

void FoldQueue::Append(std::vector<UserAppend> appends, absl::Time arrival) {
  absl::MutexLock lock(&mutex_);
  for (UserAppend& append : appends) {
    const std::string user_id = std::move(append.user_id);
    Add(user_id, {arrival, TailOf(std::move(append))});
  }
}

void FoldQueue::Mark(absl::string_view user_id, absl::Time arrival) {
  absl::MutexLock lock(&mutex_);
  Add(user_id, {arrival, LogTail()});
}

void FoldQueue::Forget(absl::string_view user_id) {
  absl::MutexLock lock(&mutex_);
  const auto user = waiting_.find(user_id);
  if (user == waiting_.end()) return;
  // Stays marked: a look at the log finds that there is nothing.
  held_events_ -= user->second.tail.events.size();
  user->second.tail = LogTail();
}

bool FoldQueue::has_work() const {
  absl::MutexLock lock(&mutex_);
  return !queue_.empty();
}

bool FoldQueue::WaitIdle(absl::Time deadline) {
  const auto idle = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return queue_.empty() && at_work_ == 0;
  };
  absl::MutexLock lock(&mutex_);
  return mutex_.AwaitWithDeadline(absl::Condition(&idle), deadline);
}

std::vector<FoldQueue::DirtyUser> FoldQueue::TakeRound() {
  std::vector<DirtyUser> round;
  size_t num_events = 0;
  absl::MutexLock lock(&mutex_);
  while (!queue_.empty() && round.size() < kRoundUsers &&
         num_events < kRoundEvents) {
    // Out of waiting_ from here on: an event that comes while the user is being
    // folded adds them again.
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

void FoldQueue::FoldRound(EngineScratch& scratch) {
  std::vector<DirtyUser> rest = Fold(TakeRound(), scratch);
  absl::MutexLock lock(&mutex_);
  at_work_ = 0;
  for (DirtyUser& user : rest) AddRest(std::move(user));
}

std::vector<FoldQueue::DirtyUser> FoldQueue::Fold(std::vector<DirtyUser> users,
                                                  EngineScratch& scratch) {
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
  memory_.RunFolds(absl::MakeSpan(folds), scratch);
  QLARANK_FAILPOINT("fold.folded");

  const absl::Time now = absl::Now();
  for (size_t k = 0; k < folds.size(); ++k) {
    DirtyUser& user = users[folded[k]];
    // Reported already; whoever asks for the state is told.
    if (!folds[k].status().ok()) continue;
    const absl::Duration lag = now - user.waiting.since;
    memory_.Publish(user.user_id, folds[k].after(),
                    lag < kBehind ? UserMemory::Snapshots::kInTime
                                  : UserMemory::Snapshots::kPostponed);
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
