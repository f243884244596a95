// The models that one owner folds for, each with the events that wait for it.
// The set changes while the owner works, in actions that have the owner to
// itself, so that no commit and no fold sees two of them.
//
// Thread-safe. Whoever looks takes the set of that moment; what is removed
// lives until the last of them is done.
#ifndef QLARANK_SERVER_PARTITION_FOLDED_MODELS_H_
#define QLARANK_SERVER_PARTITION_FOLDED_MODELS_H_

#include <algorithm>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "model/engine.h"
#include "server/metrics/metrics.h"
#include "server/states/fold_queue.h"
#include "server/states/user_memory.h"

namespace qlarank {

// What all owners need to fold for a model.
struct FoldedModel {
  FoldedModel(std::shared_ptr<UserMemory> of_users, size_t num_slots)
      : memory(std::move(of_users)) {
    for (size_t i = 0; i < num_slots; ++i) {
      scratch.push_back(memory->model().engine->NewScratch());
    }
  }

  const std::shared_ptr<UserMemory> memory;
  // For each of the pool's slots.
  std::vector<std::unique_ptr<EngineScratch>> scratch;
};

using FoldedModelPtr = std::shared_ptr<const FoldedModel>;

class FoldedModels {
 public:
  struct Entry {
    Entry(FoldedModelPtr folded, Metrics& metrics)
        : model(std::move(folded)), folds(*model->memory, metrics) {}

    uint32_t id() const { return model->memory->model().id; }

    const FoldedModelPtr model;
    FoldQueue folds;  // of this owner's users
  };
  using Entries = std::vector<std::shared_ptr<Entry>>;

  // `metrics` must outlive this.
  explicit FoldedModels(Metrics& metrics) : metrics_(metrics) {}

  std::shared_ptr<const Entries> Current() const ABSL_LOCKS_EXCLUDED(mutex_) {
    absl::MutexLock lock(&mutex_);
    return entries_;
  }
  // By LoadedModel::id; null when it is not one of them, or not any more.
  std::shared_ptr<Entry> Find(uint32_t id) const ABSL_LOCKS_EXCLUDED(mutex_) {
    const std::shared_ptr<const Entries> entries = Current();
    const auto found = std::find_if(
        entries->begin(), entries->end(),
        [id](const auto& entry) { return entry->id() == id; });
    return found == entries->end() ? nullptr : *found;
  }
  bool has_work() const ABSL_LOCKS_EXCLUDED(mutex_) {
    absl::MutexLock lock(&mutex_);
    return std::any_of(
        entries_->begin(), entries_->end(),
        [](const auto& entry) { return entry->folds.has_work(); });
  }

  // The owner's. REQUIRES: it is none of them.
  void Add(FoldedModelPtr model) ABSL_LOCKS_EXCLUDED(mutex_) {
    auto entries = std::make_shared<Entries>(*Current());
    entries->push_back(std::make_shared<Entry>(std::move(model), metrics_));
    Replace(std::move(entries));
  }
  // The owner's. What waits for the model is dropped: it is in the log.
  void Remove(uint32_t id) ABSL_LOCKS_EXCLUDED(mutex_) {
    auto entries = std::make_shared<Entries>(*Current());
    std::erase_if(*entries,
                  [id](const auto& entry) { return entry->id() == id; });
    Replace(std::move(entries));
  }

 private:
  void Replace(std::shared_ptr<const Entries> entries)
      ABSL_LOCKS_EXCLUDED(mutex_) {
    absl::MutexLock lock(&mutex_);
    entries_.swap(entries);  // the old ones go after the lock is released
  }

  Metrics& metrics_;
  mutable absl::Mutex mutex_;
  std::shared_ptr<const Entries> entries_ ABSL_GUARDED_BY(mutex_) =
      std::make_shared<const Entries>();
};

}  // namespace qlarank

#endif  // QLARANK_SERVER_PARTITION_FOLDED_MODELS_H_
