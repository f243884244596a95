// What the server remembers of its users, under every model: one cache of states
// and one of readings, in which each model has the share that it needs, and one
// writer of snapshots.
//
// Thread-safe.
#ifndef QLARANK_SERVER_STATES_USER_STATES_H_
#define QLARANK_SERVER_STATES_USER_STATES_H_

#include <cstddef>
#include <cstdint>
#include <memory>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "server/metrics/metrics.h"
#include "server/models/per_model.h"
#include "server/states/kept_readings.h"
#include "server/states/snapshot_writer.h"
#include "server/states/user_memory.h"
#include "state_store/state_store.h"

namespace qlarank {

class UserStates {
 public:
  struct Options {
    size_t cache_bytes = size_t{1} << 30;
    size_t reading_cache_bytes = size_t{32} << 20;  // kept_readings.h
    // Events folded between two snapshots of a user.
    uint64_t snapshot_interval = 64;
  };

  // Both must outlive this.
  UserStates(StateStore& store, Metrics& metrics, const Options& options);

  // What is remembered under one model. It must not outlive this.
  std::shared_ptr<UserMemory> Of(const LoadedModelPtr& model) {
    return memories_.Of(model);
  }

  // What the cache of states may take from now on (Options::cache_bytes).
  void SetCacheBytes(size_t bytes) { cache_.SetBudget(bytes); }

  // Writes snapshots of a model's states that are ahead of their last ones, and
  // forgets all that is remembered under it. Blocks. REQUIRES: no owner folds
  // for it any more. Who still reads its states may go on.
  void LetGo(const LoadedModel& model);

  // Blocks until the snapshots that were due are written. An error if a write
  // has failed since the last call.
  absl::Status AwaitSnapshots() { return snapshots_.AwaitWritten(); }

  // Writes a snapshot of every cached state that is ahead of its last one, and
  // those that are still to be written. Blocks.
  absl::Status WriteSnapshots();

 private:
  // Has the snapshot written that `save` finds worth it, if the model of the key
  // was not let go meanwhile.
  using SaveKnown = void (UserMemory::*)(absl::string_view, const KnownState&);
  void SaveOf(const UserCacheKey& key, const KnownState& known, SaveKnown save);

  SnapshotWriter snapshots_;
  const std::shared_ptr<ReadingCache> readings_;
  UserMemory::Cache cache_;  // saves what it evicts
  PerModel<UserMemory> memories_;
};

}  // namespace qlarank

#endif  // QLARANK_SERVER_STATES_USER_STATES_H_
