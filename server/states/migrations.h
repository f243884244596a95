// The migrations of models that were loaded while others are served: one for each,
// from its loading until it is unloaded.
//
// Thread-safe.
#ifndef QLARANK_SERVER_STATES_MIGRATIONS_H_
#define QLARANK_SERVER_STATES_MIGRATIONS_H_

#include <cstdint>
#include <memory>
#include <optional>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/functional/any_invocable.h"
#include "absl/synchronization/mutex.h"
#include "config/server_options.h"
#include "server/metrics/metrics.h"
#include "server/models/loaded_model.h"
#include "server/states/migration.h"
#include "server/states/user_states.h"
#include "state_store/event_log.h"

namespace qlarank {

class Migrations {
 public:
  // All must outlive this. What is `busy` has right of way; it is asked until
  // StopAll.
  Migrations(UserStates& states, const EventLog& log, Metrics& metrics,
             const MigrationOptions& options,
             BackgroundPace::Busy busy = nullptr);
  ~Migrations() { StopAll(); }

  // Does nothing if the model's has begun before, or after StopAll. `on_done` is
  // called on its thread when it is done, not when it fails or is stopped.
  void Begin(const LoadedModelPtr& model,
             absl::AnyInvocable<void()> on_done = nullptr)
      ABSL_LOCKS_EXCLUDED(mutex_);
  // Returns when it has stopped, if it was running. It is not known any more.
  void End(const LoadedModel& model) ABSL_LOCKS_EXCLUDED(mutex_);

  // Returns when all have stopped, and no `on_done` is called any more.
  void StopAll() ABSL_LOCKS_EXCLUDED(mutex_);

  // Of a model by its LoadedModel::id; nullopt if none has begun.
  std::optional<Migration::Progress> Of(uint32_t model_id) const
      ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  void NoteEnd(const LoadedModel& model, const Migration::Progress& progress);

  UserStates& states_;
  const EventLog& log_;
  Metrics& metrics_;
  const Migration::Options options_;

  mutable absl::Mutex mutex_;
  absl::flat_hash_map<uint32_t, std::shared_ptr<Migration>> by_model_
      ABSL_GUARDED_BY(mutex_);
  bool stopped_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace qlarank

#endif  // QLARANK_SERVER_STATES_MIGRATIONS_H_
