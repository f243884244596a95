#include "server/states/state_rebuild.h"

#include <deque>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "server/states/snapshot_writer.h"
#include "server/states/user_fold.h"

namespace qlarank {
namespace {

// Read and folded at a time, of one user.
constexpr size_t kChunkEvents = 4096;
// Folded at a time, of as many users as have them: a few full tiles.
constexpr size_t kRoundEvents = 1024;
constexpr size_t kMaxQueuedUsers = 4096;

class Rebuild {
 public:
  Rebuild(std::shared_ptr<const Engine> engine, const EventFeatures& features,
          StateStore& store, Metrics& metrics, const RebuildOptions& options)
      : engine_(std::move(engine)),
        features_(features),
        store_(store),
        options_(options),
        snapshots_(store, metrics),
        reported_(absl::Now()) {}

  absl::StatusOr<RebuildTotals> Run();

 private:
  struct User {
    std::string user_id;
    uint64_t incarnation;
    uint64_t last_sequence;
  };
  // A user's fold under way.
  struct Replay {
    User user;
    KnownState known;
  };

  void Enqueue(User user);
  std::optional<User> NextUser();
  void WorkerLoop();
  // Folds the next chunk of each; drops those that are done or damaged.
  void FoldRound(std::vector<Replay>& replays, EngineScratch& scratch);
  void Count(uint64_t users, uint64_t events, uint64_t failed);
  void CountTrimmed(absl::string_view user_id, const UserHead& head);

  const std::shared_ptr<const Engine> engine_;
  const EventFeatures& features_;
  StateStore& store_;
  const RebuildOptions& options_;
  SnapshotWriter snapshots_;

  absl::Mutex mutex_;
  std::deque<User> users_ ABSL_GUARDED_BY(mutex_);
  bool listed_all_ ABSL_GUARDED_BY(mutex_) = false;
  RebuildTotals totals_ ABSL_GUARDED_BY(mutex_);
  absl::Time reported_ ABSL_GUARDED_BY(mutex_);
};

void Rebuild::Enqueue(User user) {
  const auto room = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return users_.size() < kMaxQueuedUsers;
  };
  absl::MutexLock lock(&mutex_, absl::Condition(&room));
  users_.push_back(std::move(user));
}

std::optional<Rebuild::User> Rebuild::NextUser() {
  const auto ready = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return !users_.empty() || listed_all_;
  };
  absl::MutexLock lock(&mutex_, absl::Condition(&ready));
  if (users_.empty()) return std::nullopt;
  User user = std::move(users_.front());
  users_.pop_front();
  return user;
}

void Rebuild::Count(uint64_t users, uint64_t events, uint64_t failed) {
  absl::MutexLock lock(&mutex_);
  totals_.users += users;
  totals_.events += events;
  totals_.failed_users += failed;
  if (options_.on_progress == nullptr) return;
  const absl::Time now = absl::Now();
  if (now - reported_ < options_.progress_interval) return;
  reported_ = now;
  options_.on_progress(totals_);
}

void Rebuild::CountTrimmed(absl::string_view user_id, const UserHead& head) {
  const auto snapshot =
      store_.GetSnapshot(engine_->state_fingerprint(), user_id);
  const bool stands_for_it =
      snapshot.ok() && snapshot->has_value() &&
      (*snapshot)->incarnation == head.incarnation &&
      (*snapshot)->folded_sequence + 1 >= head.first_sequence;
  absl::MutexLock lock(&mutex_);
  ++(stands_for_it ? totals_.kept_users : totals_.trimmed_users);
}

void Rebuild::FoldRound(std::vector<Replay>& replays, EngineScratch& scratch) {
  std::vector<UserFold> folds;
  std::vector<Replay> unfinished;
  uint64_t events = 0, users = 0, failed = 0;
  std::vector<size_t> folded;  // the replay that each of folds belongs to
  for (size_t i = 0; i < replays.size(); ++i) {
    Replay& replay = replays[i];
    auto chunk = store_.ReadEvents(
        replay.user.user_id, replay.known.folded_sequence() + 1, kChunkEvents);
    if (!chunk.ok() || chunk->empty()) {
      ++failed;
      continue;
    }
    events += chunk->size();
    folds.emplace_back(std::move(replay.known), *std::move(chunk),
                       replay.user.last_sequence, *engine_, features_);
    folded.push_back(i);
  }
  UserFold::Run(absl::MakeSpan(folds), *engine_, scratch);
  for (size_t k = 0; k < folds.size(); ++k) {
    Replay& replay = replays[folded[k]];
    replay.known = folds[k].after();
    if (!folds[k].status().ok()) {
      ++failed;
    } else if (folds[k].complete()) {
      snapshots_.Put(engine_, replay.user.user_id, replay.known);
      ++users;
    } else {
      unfinished.push_back(std::move(replay));
    }
  }
  replays = std::move(unfinished);
  Count(users, events, failed);
}

void Rebuild::WorkerLoop() {
  const auto scratch = engine_->NewScratch();
  std::vector<Replay> replays;
  while (true) {
    // Users with short histories share tiles.
    uint64_t waiting = 0;
    for (const Replay& replay : replays) {
      waiting += replay.user.last_sequence - replay.known.folded_sequence();
    }
    while (waiting < kRoundEvents) {
      std::optional<User> user = NextUser();
      if (!user.has_value()) break;
      waiting += user->last_sequence;
      KnownState known;
      known.state = engine_->empty_state();
      known.incarnation = user->incarnation;
      replays.push_back({*std::move(user), std::move(known)});
    }
    if (replays.empty()) return;
    FoldRound(replays, *scratch);
  }
}

absl::StatusOr<RebuildTotals> Rebuild::Run() {
  std::vector<std::thread> workers;
  for (size_t i = 0; i < options_.num_threads; ++i) {
    workers.emplace_back([this] { WorkerLoop(); });
  }
  absl::Status status =
      store_.ForEachUser([&](absl::string_view user_id, const UserHead& head) {
        if (head.first_sequence > 1) {
          CountTrimmed(user_id, head);
        } else if (head.last_sequence > 0) {
          Enqueue({std::string(user_id), head.incarnation, head.last_sequence});
        }
        return true;
      });
  {
    absl::MutexLock lock(&mutex_);
    listed_all_ = true;
  }
  for (std::thread& worker : workers) worker.join();
  status.Update(snapshots_.AwaitWritten());
  status.Update(store_.Flush());
  if (!status.ok()) return status;
  absl::MutexLock lock(&mutex_);
  return totals_;
}

}  // namespace

absl::StatusOr<RebuildTotals> RebuildStates(std::shared_ptr<const Engine> engine,
                                            StateStore& store, Metrics& metrics,
                                            const RebuildOptions& options) {
  const auto features =
      EventFeatures::Of(store, engine->bundle().spec().event_features());
  if (!features.ok()) return features.status();
  return Rebuild(std::move(engine), *features, store, metrics, options).Run();
}

}  // namespace qlarank
