// Holds the registry of now. Whoever begins something takes it, and keeps to it
// until the end, so what a request, an append or a fold uses stays what it was,
// whatever takes its place meanwhile.
//
// Thread-safe.
#ifndef QLARANK_SERVER_MODELS_MODEL_REGISTRY_H_
#define QLARANK_SERVER_MODELS_MODEL_REGISTRY_H_

#include <memory>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "server/models/registry.h"

namespace qlarank {

class ModelRegistry {
 public:
  // Not null.
  explicit ModelRegistry(std::shared_ptr<const Registry> registry)
      : current_(std::move(registry)) {}

  // Never null.
  std::shared_ptr<const Registry> Current() const ABSL_LOCKS_EXCLUDED(mutex_) {
    absl::MutexLock lock(&mutex_);
    return current_;
  }

  // What is asked for from now on. Not null.
  void Replace(std::shared_ptr<const Registry> registry)
      ABSL_LOCKS_EXCLUDED(mutex_) {
    absl::MutexLock lock(&mutex_);
    current_.swap(registry);  // the old one goes after the lock is released
  }

 private:
  mutable absl::Mutex mutex_;
  std::shared_ptr<const Registry> current_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace qlarank

#endif  // QLARANK_SERVER_MODELS_MODEL_REGISTRY_H_
