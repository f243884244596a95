// What one part of the server keeps for each model: made when it is first asked
// for, and the same from then on, until the model is let go.
//
//   PerModel<Costs> costs([](const LoadedModelPtr& model) {
//     return std::make_shared<Costs>(*model);
//   });
//   costs.Of(model)->...
//
// Thread-safe; takes a lock, so it is asked once a request, not once a
// candidate.
#ifndef QLARANK_SERVER_MODELS_PER_MODEL_H_
#define QLARANK_SERVER_MODELS_PER_MODEL_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/synchronization/mutex.h"
#include "server/models/loaded_model.h"

namespace qlarank {

template <typename T>
class PerModel {
 public:
  using Make = std::function<std::shared_ptr<T>(const LoadedModelPtr& model)>;

  // `make` is called without any lock: of two who ask first at once, both may
  // make one, and the first stays.
  explicit PerModel(Make make) : make_(std::move(make)) {}

  std::shared_ptr<T> Of(const LoadedModelPtr& model)
      ABSL_LOCKS_EXCLUDED(mutex_) {
    if (std::shared_ptr<T> kept = Find(model->id); kept != nullptr) {
      return kept;
    }
    std::shared_ptr<T> made = make_(model);
    absl::MutexLock lock(&mutex_);
    if (gone_.contains(model->id)) return made;
    return by_id_.try_emplace(model->id, std::move(made)).first->second;
  }

  // Nothing is kept for the model any more, nor ever again: a straggler who asks
  // for it gets something of their own. Returns what was kept, or null.
  std::shared_ptr<T> LetGo(uint32_t id) ABSL_LOCKS_EXCLUDED(mutex_) {
    absl::MutexLock lock(&mutex_);
    gone_.insert(id);
    auto kept = by_id_.extract(id);
    return kept.empty() ? nullptr : std::move(kept.mapped());
  }

  // By LoadedModel::id; null if it was never asked for, or let go.
  std::shared_ptr<T> Find(uint32_t id) const ABSL_LOCKS_EXCLUDED(mutex_) {
    absl::MutexLock lock(&mutex_);
    const auto found = by_id_.find(id);
    return found == by_id_.end() ? nullptr : found->second;
  }

 private:
  const Make make_;
  mutable absl::Mutex mutex_;
  absl::flat_hash_map<uint32_t, std::shared_ptr<T>> by_id_
      ABSL_GUARDED_BY(mutex_);
  // Ids are never used again, so that is 4 bytes for each that was ever unloaded.
  absl::flat_hash_set<uint32_t> gone_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace qlarank

#endif  // QLARANK_SERVER_MODELS_PER_MODEL_H_
