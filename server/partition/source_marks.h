// How far each source is complete: what its owner says with MarkSource, durable
// in the store, and at hand here for every append.
//
// An event at or below its source's mark is a duplicate, whoever its user is, so
// no user's head needs a watermark for it. Marks only go forward and are kept
// for ever: 24 bytes of memory and one small record each, so that a million of
// them are no burden.
//
// Thread-safe.
#ifndef QLARANK_SERVER_PARTITION_SOURCE_MARKS_H_
#define QLARANK_SERVER_PARTITION_SOURCE_MARKS_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "prometheus/gauge.h"
#include "state_store/state_store.h"

namespace qlarank {

class SourceMarks {
 public:
  // `gauge` counts them. Both must outlive this.
  SourceMarks(StateStore& store, prometheus::Gauge& gauge)
      : store_(store), gauge_(gauge) {}
  ~SourceMarks();

  // Takes up what the store has; once, before anything else. DATA_LOSS or
  // UNAVAILABLE when it cannot be read.
  absl::Status Load();

  // 0: no mark.
  uint64_t CompleteThrough(absl::string_view source) const
      ABSL_LOCKS_EXCLUDED(mutex_);

  // Whether no source has a mark.
  bool empty() const { return size_.load(std::memory_order_acquire) == 0; }

  // Moves the mark forward, durably: blocks. Returns what holds then; one that is
  // behind changes nothing. UNAVAILABLE when it could not be written.
  absl::StatusOr<SourceMark> Raise(absl::string_view source,
                                   const SourceMark& mark)
      ABSL_LOCKS_EXCLUDED(raise_mutex_, mutex_);

  // The mark with its note; complete_through is 0 without one. Reads the store.
  absl::StatusOr<SourceMark> Get(absl::string_view source) const;

 private:
  // Two hashes of the name: a million names have two alike with a probability of
  // 2^-88.
  using Key = std::pair<uint64_t, uint64_t>;

  static Key KeyOf(absl::string_view source);
  void Keep(absl::string_view source, uint64_t complete_through)
      ABSL_LOCKS_EXCLUDED(mutex_);

  StateStore& store_;
  prometheus::Gauge& gauge_;
  std::atomic<size_t> size_{0};

  absl::Mutex raise_mutex_;  // one at a time, before mutex_
  mutable absl::Mutex mutex_;
  absl::flat_hash_map<Key, uint64_t> marks_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace qlarank

#endif  // QLARANK_SERVER_PARTITION_SOURCE_MARKS_H_
