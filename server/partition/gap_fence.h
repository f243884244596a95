// Keeps a refused event from becoming a gap.
//
// A client may have several events of a user and source under way. If one is
// refused and a later one is taken, the user's watermark passes the refused one,
// and sending it again would count it as a duplicate: acknowledged, and
// nowhere. So every refused event is remembered here, and what follows it of its
// user and source is held back until each of the refused ones was sent again
// and taken, or was given up.
//
// Bounded: `max_positions` events in all. When one more has to be remembered,
// the source with the most of them is *closed*: what was remembered of it is
// forgotten, and of its events nothing from the lowest refused sequence on is
// taken, of any user, until MarkSource gives up what was refused. So nothing is
// lost without a word, and who refuses to send again pays first. Only where no
// source has more than one is an event not remembered; that is counted. A
// restart forgets all fences, as it ends every stream: clients then send again
// from the first event that was not acknowledged.
//
// One for each owner, whose users it knows. Thread-safe: events are refused by
// the writer and by whoever admits. It looks at nothing while it is empty.
#ifndef QLARANK_SERVER_PARTITION_GAP_FENCE_H_
#define QLARANK_SERVER_PARTITION_GAP_FENCE_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/container/btree_set.h"
#include "absl/container/flat_hash_map.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "server/metrics/ingest_metrics.h"

namespace qlarank {

class GapFence {
 public:
  // Some 20 bytes each, 200 where each is of another user and source.
  static constexpr size_t kMaxPositions = 131'072;

  // What holds an event back.
  struct Obstacle {
    uint64_t sequence = 0;  // the lowest that is waited for
    // The source is closed, and `sequence` may be another user's.
    bool source_closed = false;
    uint64_t closed_through = 0;  // MarkSource must reach this
  };

  // `metrics` must outlive the fence. Its gauges are those of all fences.
  GapFence(size_t max_positions, IngestMetrics& metrics)
      : max_positions_(max_positions), metrics_(metrics) {}
  explicit GapFence(IngestMetrics& metrics)
      : GapFence(kMaxPositions, metrics) {}
  ~GapFence();

  // Remembers an event that was refused, for whatever reason.
  void Refuse(absl::string_view user_id, absl::string_view source,
              uint64_t sequence) ABSL_LOCKS_EXCLUDED(mutex_);

  // Whether an event may be taken; if not, what it waits for: Refuse it. If so
  // it is not waited for any more: should it be refused after all, Refuse it.
  // All through `seen_through` are in the log, or given up, and not waited for.
  std::optional<Obstacle> Pass(absl::string_view user_id,
                               absl::string_view source, uint64_t sequence,
                               uint64_t seen_through)
      ABSL_LOCKS_EXCLUDED(mutex_);

  // Refuse, or GiveUp.
  void Settle(absl::string_view user_id, absl::string_view source,
              uint64_t sequence, bool give_up) {
    if (give_up) {
      GiveUp(user_id, source, sequence);
    } else {
      Refuse(user_id, source, sequence);
    }
  }
  // The event is given up.
  void GiveUp(absl::string_view user_id, absl::string_view source,
              uint64_t sequence) ABSL_LOCKS_EXCLUDED(mutex_);
  // Every event of the source through `sequence` is, of all users.
  void GiveUpSource(absl::string_view source, uint64_t sequence)
      ABSL_LOCKS_EXCLUDED(mutex_);
  // The user was erased, and whatever was refused of them.
  void Forget(absl::string_view user_id) ABSL_LOCKS_EXCLUDED(mutex_);

  // Whether nothing is held back.
  bool empty() const {
    return size_.load(std::memory_order_acquire) == 0;
  }
  // Events that are waited for, and closed sources.
  size_t size() const { return size_.load(std::memory_order_acquire); }

 private:
  // Hashes stand for names: two of the same one in a fence hold each other
  // back, and come to no other harm.
  using Key = std::pair<uint64_t, uint64_t>;  // user, source
  using Positions = absl::btree_set<uint64_t>;

  struct Source {
    std::string name;
    size_t positions = 0;
    // Refused since it was closed or before, lowest and highest; 0: open.
    uint64_t closed_from = 0;
    uint64_t closed_through = 0;

    bool closed() const { return closed_through > 0; }
  };

  using Fences = absl::flat_hash_map<Key, Positions>;
  using Sources = absl::flat_hash_map<uint64_t, Source>;

  // Makes room for one more; false when there is none.
  bool MakeRoom() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Close(uint64_t source_hash, Source& source)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Forgets the positions of a fence from the first to `end`.
  void Drop(Fences::iterator fence, Positions::iterator begin,
            Positions::iterator end) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Of all fences that `of` says yes to, those through `sequence`.
  template <typename Of>
  void DropAll(uint64_t sequence, const Of& of)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Report() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const size_t max_positions_;
  IngestMetrics& metrics_;
  std::atomic<size_t> size_{0};

  absl::Mutex mutex_;
  Fences fences_ ABSL_GUARDED_BY(mutex_);  // none is empty
  Sources sources_ ABSL_GUARDED_BY(mutex_);  // of fences_, and the closed ones
  size_t positions_ ABSL_GUARDED_BY(mutex_) = 0;  // in fences_
  size_t closed_ ABSL_GUARDED_BY(mutex_) = 0;
  // Closing a source would make no room: none has more than one position.
  bool saturated_ ABSL_GUARDED_BY(mutex_) = false;
  // What this fence contributed to the gauges.
  size_t reported_fences_ ABSL_GUARDED_BY(mutex_) = 0;
  size_t reported_positions_ ABSL_GUARDED_BY(mutex_) = 0;
  size_t reported_closed_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace qlarank

#endif  // QLARANK_SERVER_PARTITION_GAP_FENCE_H_
