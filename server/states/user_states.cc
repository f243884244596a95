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
               // Whoever put it there asked for its memory.
               memories_.Find(key.space)->SaveEvicted(key.user_id, *known);
             }),
      memories_([this, &store, &metrics,
                 interval = options.snapshot_interval](
                    const LoadedModelPtr& model) {
        return std::make_shared<UserMemory>(model, store, metrics, cache_,
                                            readings_, snapshots_, interval);
      }) {}

absl::Status UserStates::WriteSnapshots() {
  // Of snapshots that failed long ago, on a disk that was full: a longer replay
  // is all that it costs.
  snapshots_.AwaitWritten().IgnoreError();
  cache_.ForEach([&](const UserCacheKey& key,
                     const std::shared_ptr<const KnownState>& known) {
    memories_.Find(key.space)->Save(key.user_id, *known);
  });
  return snapshots_.AwaitWritten();
}

}  // namespace qlarank
