// Keeps memory.budget_bytes when models come while the server serves: what one
// takes is taken from the user cache, and given back when it has gone.
//
// Without a budget nothing is taken. Thread-safe.
#ifndef QLARANK_SERVER_ROLLOUT_MODEL_MEMORY_H_
#define QLARANK_SERVER_ROLLOUT_MODEL_MEMORY_H_

#include <cstdint>
#include <map>
#include <string>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "config/server_options.h"
#include "server/states/user_states.h"

namespace qlarank {

class ModelMemory {
 public:
  // Of the models that are not of the configuration.
  struct Taken {
    uint64_t bundles_bytes = 0;
    uint64_t process_bytes = 0;  // of owners and folding

    uint64_t total_bytes() const { return bundles_bytes + process_bytes; }
  };

  // The caches of `options` are those of the plan. `states` must outlive this.
  ModelMemory(const ServerOptions& options, UserStates& states);

  // Makes room for a model that is about to be loaded; again: for what its bundle
  // is now. FAILED_PRECONDITION, and nothing changes, where the user cache would
  // be too small: says how many bytes are wanted and left.
  absl::Status Take(const ModelOptions& model) ABSL_LOCKS_EXCLUDED(mutex_);
  // Does nothing where nothing was taken.
  void GiveBack(const std::string& name, uint64_t version)
      ABSL_LOCKS_EXCLUDED(mutex_);

  Taken taken() const ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  using ModelId = std::pair<std::string, uint64_t>;  // name, version

  Taken Sum() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const bool bounded_;
  const uint64_t cache_bytes_;      // before anything is taken
  const uint64_t per_model_bytes_;  // process_bytes
  UserStates& states_;

  mutable absl::Mutex mutex_;
  std::map<ModelId, uint64_t> bundles_bytes_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace qlarank

#endif  // QLARANK_SERVER_ROLLOUT_MODEL_MEMORY_H_
