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
  // All must outlive this.
  Migrations(UserStates& states, const EventLog& log, Metrics& metrics,
             const MigrationOptions& options);
  // Stops them.
  ~Migrations();

  // Does nothing if the model's has begun before.
  void Begin(const LoadedModelPtr& model) ABSL_LOCKS_EXCLUDED(mutex_);
  // Returns when it has stopped, if it was running. It is not known any more.
  void End(const LoadedModel& model) ABSL_LOCKS_EXCLUDED(mutex_);

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
};

}  // namespace qlarank

#endif  // QLARANK_SERVER_STATES_MIGRATIONS_H_
