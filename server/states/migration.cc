#include "server/states/migration.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "absl/hash/hash.h"
#include "absl/time/clock.h"
#include "server/work/steady_now.h"

namespace qlarank {
namespace {

// Read and folded at a time, of one user.
constexpr size_t kStepEvents = 128;
// Folded at a time, of as many users as have them: two full tiles, a fraction of
// a millisecond or about one, which is what a request may find in its way; more
// of a small model's, as many as take no longer than a piece of work does.
constexpr size_t kLeastBatchEvents = 128;
constexpr size_t kMostBatchEvents = 1024;
constexpr size_t kBatchUsers = 128;

// Users who were active within so long of the newest event of all come before
// those who were not.
constexpr absl::Duration kActive[] = {absl::Hours(24), absl::Hours(24 * 7),
                                      absl::Hours(24 * 30)};
constexpr int64_t kFirst = std::numeric_limits<int64_t>::min();
constexpr int64_t kLast = std::numeric_limits<int64_t>::max();

absl::Status Stopped() { return absl::AbortedError("stopped"); }

}  // namespace

Migration::Migration(std::shared_ptr<UserMemory> memory, const EventLog& log,
                     const Options& options,
                     absl::AnyInvocable<void(const Progress&)> on_end)
    : memory_(std::move(memory)),
      log_(log),
      options_(options),
      on_end_(std::move(on_end)),
      scratch_(memory_->model().engine->NewScratch()),
      batch_events_(kLeastBatchEvents),
      pace_(options_.processor_share, options_.busy,
            [this](absl::Duration duration) {
              return stop_.WaitForNotificationWithTimeout(duration);
            }),
      thread_([this] { Run(); }) {}

Migration::~Migration() { Stop(); }

void Migration::Stop() {
  if (!stop_.HasBeenNotified()) stop_.Notify();
  if (thread_.joinable()) thread_.join();
}

Migration::Progress Migration::progress() const {
  absl::MutexLock lock(&mutex_);
  Progress progress = progress_;
  if (progress.folded_events > 0) {
    progress.events_per_second =
        static_cast<double>(progress.folded_events) /
        absl::ToDoubleSeconds(absl::Now() - folding_since_);
    progress.time_left =
        absl::Seconds(static_cast<double>(progress.events_left) /
                      progress.events_per_second);
  }
  return progress;
}

void Migration::Run() {
  const absl::Status status = Migrate();
  {
    absl::MutexLock lock(&mutex_);
    progress_.phase = status.ok()                  ? Phase::kDone
                      : absl::IsAborted(status) ? Phase::kStopped
                                                : Phase::kFailed;
    if (progress_.phase == Phase::kFailed) progress_.status = status;
  }
  if (on_end_ != nullptr && !absl::IsAborted(status)) on_end_(progress());
  ended_.Notify();
}

absl::Status Migration::Migrate() {
  if (absl::Status status = Count(); !status.ok()) return status;
  {
    absl::MutexLock lock(&mutex_);
    progress_.phase = Phase::kFolding;
    folding_since_ = absl::Now();
  }
  int64_t to_us = kLast;
  for (const absl::Duration active : kActive) {
    const int64_t from_us = newest_us_ - absl::ToInt64Microseconds(active);
    if (absl::Status status = Visit(from_us, to_us); !status.ok()) {
      return status;
    }
    to_us = from_us;
  }
  // The rest, and whoever has been in no pass because they were active
  // meanwhile.
  return Visit(kFirst, kLast);
}

absl::Status Migration::Count() {
  const absl::Status visited = log_.ForEachUser(
      [&](absl::string_view, const UserHead& head) {
        newest_us_ = std::max(newest_us_, head.last_event_time_us);
        if (head.last_sequence > 0) {
          absl::MutexLock lock(&mutex_);
          ++progress_.users;
          progress_.events_left += head.num_events();
        }
        return Rest().ok();
      });
  if (stop_.HasBeenNotified()) return Stopped();
  // Of a damaged head the owner of the user tells.
  return absl::IsDataLoss(visited) ? absl::OkStatus() : visited;
}

absl::Status Migration::Visit(int64_t from_us, int64_t to_us) {
  absl::Status status;
  const absl::Status visited = log_.ForEachUser(
      [&](absl::string_view user_id, const UserHead& head) {
        if (head.last_sequence == 0 || head.last_event_time_us < from_us ||
            head.last_event_time_us >= to_us ||
            !taken_.insert(absl::HashOf(user_id)).second) {
          return true;
        }
        status = Take(user_id, head);
        if (status.ok() && (waiting_events_ >= batch_events_ ||
                            replays_.size() >= kBatchUsers)) {
          status = FoldAll();
        }
        if (status.ok()) status = Rest();
        return status.ok();
      });
  if (status.ok()) status = FoldAll();
  if (status.ok()) status = memory_->AwaitSaved();
  return absl::IsDataLoss(visited) || !status.ok() ? status : visited;
}

absl::Status Migration::Take(absl::string_view user_id, const UserHead& head) {
  if (stop_.HasBeenNotified()) return Stopped();
  absl::StatusOr<UserMemory::Lookup> lookup =
      memory_->Find(user_id, kStepEvents);
  if (!lookup.ok()) return NoteFailed(user_id, lookup.status());
  const uint64_t behind = lookup->events_behind();
  const bool covered = behind <= options_.max_behind;
  if (!covered) {
    waiting_events_ += behind;
    replays_.push_back({std::string(user_id), *std::move(lookup)});
  }
  NoteDone(covered ? head.num_events()
                   : head.num_events() - std::min(head.num_events(), behind),
           covered ? 1 : 0);
  return absl::OkStatus();
}

void Migration::NoteDone(uint64_t events, uint64_t users) {
  absl::MutexLock lock(&mutex_);
  progress_.events_left -= std::min(progress_.events_left, events);
  progress_.covered_users =
      std::min(progress_.users, progress_.covered_users + users);
}

absl::Status Migration::FoldAll() {
  while (!replays_.empty()) {
    absl::Status status = FoldRound();
    if (status.ok()) status = Rest();
    if (!status.ok()) return status;
  }
  waiting_events_ = 0;
  return absl::OkStatus();
}

void Migration::Fold(absl::Span<UserFold> folds) {
  const absl::Duration begin = SteadyNow();
  folding_.Run([&] { memory_->RunFolds(folds, *scratch_); });
  const absl::Duration took = SteadyNow() - begin;
  if (took > BackgroundPace::kPiece) {
    batch_events_ = std::max(batch_events_ / 2, kLeastBatchEvents);
  } else if (took < BackgroundPace::kPiece / 2) {
    batch_events_ = std::min(batch_events_ * 2, kMostBatchEvents);
  }
}

absl::Status Migration::FoldRound() {
  std::vector<UserFold> folds;
  std::vector<size_t> folded;  // the replay that each of folds belongs to
  for (size_t i = 0; i < replays_.size(); ++i) {
    absl::StatusOr<UserFold> fold = memory_->ReadTail(
        replays_[i].user_id, replays_[i].lookup, kStepEvents);
    if (!fold.ok()) {
      absl::Status status =
          NoteFailed(replays_[i].user_id, fold.status());
      if (!status.ok()) return status;
      continue;
    }
    folds.push_back(*std::move(fold));
    folded.push_back(i);
  }
  Fold(absl::MakeSpan(folds));

  std::vector<Replay> unfinished;
  uint64_t events = 0, covered = 0;
  for (size_t k = 0; k < folds.size(); ++k) {
    Replay& replay = replays_[folded[k]];
    if (!folds[k].status().ok()) {
      absl::Status status = NoteFailed(replay.user_id, folds[k].status());
      if (!status.ok()) return status;
      continue;
    }
    events += folds[k].after().folded_sequence() -
              replay.lookup.known.folded_sequence();
    replay.lookup.known = folds[k].after();
    if (folds[k].complete()) {
      memory_->Save(replay.user_id, replay.lookup.known);
      ++covered;
    } else {
      unfinished.push_back(std::move(replay));
    }
  }
  replays_ = std::move(unfinished);
  NoteDone(events, covered);
  absl::MutexLock lock(&mutex_);
  progress_.folded_events += events;
  return absl::OkStatus();
}

absl::Status Migration::NoteFailed(absl::string_view user_id,
                                   const absl::Status& status) {
  if (absl::IsUnavailable(status)) return status;
  if (absl::IsAborted(status)) {  // erased or trimmed meanwhile: look again
    taken_.erase(absl::HashOf(user_id));
    return absl::OkStatus();
  }
  absl::MutexLock lock(&mutex_);
  ++(absl::IsFailedPrecondition(status) ? progress_.trimmed_users
                                        : progress_.failed_users);
  return absl::OkStatus();
}

absl::Status Migration::Rest() {
  return pace_.Step() ? absl::OkStatus() : Stopped();
}

}  // namespace qlarank
