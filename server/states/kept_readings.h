// Readings of published states, kept for requests that ask the same of the same
// state again: the reader of a page who scrolls on, several lists on one page.
//
// A reading lies beside its state and dies with it, so there is nothing to
// invalidate: a state that an event replaced, an erased user's, one that left
// the user cache takes its readings along. All of a server's share one budget
// of bytes; what was asked for longest ago makes room.
//
//   auto reading = readings.Get(inputs);        // null: not kept
//   if (reading == nullptr) reading = readings.Keep(inputs, bytes, make());
//
// Thread-safe. One lock for all, held for a comparison of a few short strings.
#ifndef QLARANK_SERVER_STATES_KEPT_READINGS_H_
#define QLARANK_SERVER_STATES_KEPT_READINGS_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "model/engine.h"

namespace qlarank {

class KeptReadings;

// What all states' readings together may take, and which of them go first.
class ReadingCache {
 public:
  // Called, without any lock, with what a change made of the bytes. May be
  // empty.
  using OnChange = std::function<void(int64_t bytes)>;

  // 0 keeps nothing.
  explicit ReadingCache(size_t budget_bytes, OnChange on_change = nullptr)
      : budget_bytes_(budget_bytes), on_change_(std::move(on_change)) {}
  ReadingCache(const ReadingCache&) = delete;
  ReadingCache& operator=(const ReadingCache&) = delete;

  // As the budget counts them.
  size_t bytes() const ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  friend class KeptReadings;

  struct Entry {
    KeptReadings* state;
    std::string inputs;
    std::shared_ptr<const Reading> reading;
    size_t bytes;
  };
  using Entries = std::list<Entry>;  // most recently used first

  // Moves an entry out of the cache, to `removed`.
  void Remove(Entries::iterator entry, Entries& removed)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Report(int64_t bytes) const {
    if (on_change_ != nullptr && bytes != 0) on_change_(bytes);
  }

  const size_t budget_bytes_;
  const OnChange on_change_;
  mutable absl::Mutex mutex_;
  Entries entries_ ABSL_GUARDED_BY(mutex_);
  size_t bytes_ ABSL_GUARDED_BY(mutex_) = 0;
};

// The readings that are kept of one state.
class KeptReadings {
 public:
  // One state asked for in so many ways at once: more than the places of an
  // application that show rankings, fewer than would crowd out other users'.
  static constexpr size_t kMostOfAState = 4;

  explicit KeptReadings(std::shared_ptr<ReadingCache> cache)
      : cache_(std::move(cache)) {}
  ~KeptReadings();
  KeptReadings(const KeptReadings&) = delete;
  KeptReadings& operator=(const KeptReadings&) = delete;

  // The reading of these inputs (ReadingInputs), now the most recently used;
  // null if it is not kept.
  std::shared_ptr<const Reading> Get(const std::string& inputs);

  // Keeps `made`, which takes so many bytes, if there is room for it at all.
  // Two who ask at once may both make one: the first stays. Returns the one to
  // use.
  std::shared_ptr<const Reading> Keep(const std::string& inputs, size_t bytes,
                                      std::shared_ptr<const Reading> made);

 private:
  friend class ReadingCache;
  using Entry = ReadingCache::Entries::iterator;

  // Moves it to the front of the cache; null if it is not there.
  std::shared_ptr<const Reading> Find(const std::string& inputs)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(cache_->mutex_);

  const std::shared_ptr<ReadingCache> cache_;
  // Guarded by the cache's lock. Oldest first.
  std::vector<Entry> entries_;
  // Written under the lock by those who hold the state, so that the last one to
  // let go of it, who finds nothing was ever kept, needs no lock.
  bool used_ = false;
};

}  // namespace qlarank

#endif  // QLARANK_SERVER_STATES_KEPT_READINGS_H_
