#include "server/states/user_states.h"

namespace qlarank {

UserStates::UserStates(StateStore& store, Metrics& metrics,
                       const Options& options)
    : snapshots_(store, metrics),
      readings_(std::make_shared<ReadingCache>(
          options.reading_cache_bytes,
          [&metrics](int64_t bytes) {
            metrics.state.cached_reading_bytes.Increment(
                static_cast<double>(bytes));
          })),
      cache_({.budget_bytes = options.cache_bytes,
              .on_change =
                  [&metrics](int64_t entries, int64_t bytes) {
                    metrics.state.cached_users.Increment(
                        static_cast<double>(entries));
                    metrics.state.cached_state_bytes.Increment(
                        static_cast<double>(bytes));
                  }},
             [this](const UserCacheKey& key,
                    std::shared_ptr<const KnownState> known) {
               SaveOf(key, *known, &UserMemory::SaveEvicted);
             }),
      memories_([this, &store, &metrics,
                 interval = options.snapshot_interval](
                    const LoadedModelPtr& model) {
        return std::make_shared<UserMemory>(model, store, metrics, cache_,
                                            readings_, snapshots_, interval);
      }) {}

void UserStates::SaveOf(const UserCacheKey& key, const KnownState& known,
                        SaveKnown save) {
  const std::shared_ptr<UserMemory> memory = memories_.Find(key.space);
  if (memory != nullptr) (memory.get()->*save)(key.user_id, known);
}

void UserStates::LetGo(const LoadedModel& model) {
  cache_.EraseSpace(model.id, [this](const UserCacheKey& key,
                                     const std::shared_ptr<const KnownState>&
                                         known) {
    SaveOf(key, *known, &UserMemory::Save);
  });
  memories_.LetGo(model.id);
}

absl::Status UserStates::WriteSnapshots() {
  // Of snapshots that failed long ago, on a disk that was full: a longer replay
  // is all that it costs.
  snapshots_.AwaitWritten().IgnoreError();
  cache_.ForEach([&](const UserCacheKey& key,
                     const std::shared_ptr<const KnownState>& known) {
    SaveOf(key, *known, &UserMemory::Save);
  });
  return snapshots_.AwaitWritten();
}

}  // namespace qlarank
