#include "server/pipeline/folder.h"

#include <algorithm>
#include <utility>

#include "absl/time/clock.h"
#include "server/pipeline/give_way.h"

namespace qlarank {

Folder::Folder(UserMemory& memory, Metrics& metrics)
    : memory_(memory),
      metrics_(metrics),
      scratch_(memory.engine().NewScratch()),
      thread_([this] { Loop(); }) {}

Folder::~Folder() {
  {
    absl::MutexLock lock(&mutex_);
    stopping_ = true;
  }
  thread_.join();
  // The gauge is shared between models.
  metrics_.ingest.fold_backlog_users.Decrement(since_.size());
}

void Folder::Mark(absl::string_view user_id, absl::Time arrival) {
  if (queue_.size() >= kMaxBacklog) return;
  const auto [user, inserted] = since_.try_emplace(user_id, arrival);
  if (!inserted) {
    user->second = std::min(user->second, arrival);
    return;
  }
  queue_.emplace_back(user_id);
  metrics_.ingest.fold_backlog_users.Increment();
}

void Folder::MarkDirty(absl::Span<const UserAppend> appends,
                       absl::Time arrival) {
  absl::MutexLock lock(&mutex_);
  for (const UserAppend& append : appends) Mark(append.user_id, arrival);
}

void Folder::MarkDirty(absl::string_view user_id, absl::Time arrival) {
  absl::MutexLock lock(&mutex_);
  Mark(user_id, arrival);
}

bool Folder::WaitIdle(absl::Duration timeout) {
  const auto idle = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return queue_.empty() && at_work_ == 0;
  };
  absl::MutexLock lock(&mutex_);
  return mutex_.AwaitWithTimeout(absl::Condition(&idle), timeout);
}

std::vector<Folder::DirtyUser> Folder::TakeBatch() {
  const auto ready = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return !queue_.empty() || stopping_;
  };
  std::vector<DirtyUser> batch;
  absl::MutexLock lock(&mutex_);
  mutex_.Await(absl::Condition(&ready));
  if (stopping_) return batch;
  while (!queue_.empty() && batch.size() < kMaxUsers) {
    // Out of since_ from here on: an event that comes while the user is being
    // folded marks it again.
    auto user = since_.extract(queue_.front());
    batch.push_back({std::move(queue_.front()), user.mapped()});
    queue_.pop_front();
  }
  at_work_ = batch.size();
  metrics_.ingest.fold_backlog_users.Decrement(batch.size());
  return batch;
}

void Folder::Loop() {
  GiveWay();
  while (true) {
    std::vector<DirtyUser> batch = TakeBatch();
    if (batch.empty()) return;
    const std::vector<DirtyUser> rest = FoldBatch(std::move(batch));
    absl::MutexLock lock(&mutex_);
    at_work_ = 0;
    for (const DirtyUser& user : rest) Mark(user.user_id, user.since);
  }
}

std::vector<Folder::DirtyUser> Folder::FoldBatch(std::vector<DirtyUser> users) {
  std::vector<DirtyUser> rest;
  std::vector<UserFold> folds;
  std::vector<size_t> folded;  // the user that each of folds belongs to
  folds.reserve(users.size());
  for (size_t i = 0; i < users.size(); ++i) {
    // A state or a log that cannot be read stays as it is: a look-up tells its
    // caller why, and the next event tries again.
    absl::StatusOr<UserFold> fold = memory_.BeginFold(users[i].user_id, kChunk);
    if (!fold.ok() || fold->empty()) continue;
    folds.push_back(*std::move(fold));
    folded.push_back(i);
  }
  memory_.RunFolds(absl::MakeSpan(folds), *scratch_);

  const absl::Time now = absl::Now();
  for (size_t k = 0; k < folds.size(); ++k) {
    DirtyUser& user = users[folded[k]];
    memory_.Publish(user.user_id, folds[k].after()).IgnoreError();
    if (folds[k].complete()) {
      ObserveSeconds(metrics_.ingest.lag_seconds, now - user.since);
    } else {
      rest.push_back(std::move(user));
    }
  }
  return rest;
}

}  // namespace qlarank
