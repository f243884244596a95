// What is remembered of users under one model: finds a user's state in the cache,
// in the newest snapshot or, failing both, nowhere, and says how far the log is
// ahead. Cache and writer of snapshots are all models' (user_states.h).
//
// The log is the truth. A state found is only ever a shortcut: a snapshot that
// is damaged, of an erased user or ahead of the log is counted, ignored and
// rebuilt. Only the user's owner (owner.h) publishes their states and forgets
// them; everybody else reads.
//
// Thread-safe. Methods read the store and may block on its disk; none of them
// folds but RunFolds and Read, or runs seeds but Summarize and Read.
#ifndef QLARANK_SERVER_STATES_USER_MEMORY_H_
#define QLARANK_SERVER_STATES_USER_MEMORY_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "absl/types/span.h"
#include "model/engine.h"
#include "server/metrics/metrics.h"
#include "server/models/loaded_model.h"
#include "server/states/kept_readings.h"
#include "server/states/log_tail.h"
#include "server/states/seen_ahead.h"
#include "server/states/snapshot_writer.h"
#include "server/states/user_fold.h"
#include "state_store/state_store.h"
#include "state_store/user_cache.h"

namespace qlarank {

class UserMemory {
 public:
  // Where the state of a look-up came from.
  enum class Origin { kCache, kSnapshot, kNothing };

  struct Lookup {
    KnownState known;  // folded_sequence() <= head.last_sequence
    UserHead head;     // of the log, at the time of the look-up
    Origin origin = Origin::kNothing;
    // The events behind it that were read with it: not read, if there are none.
    std::optional<absl::StatusOr<std::vector<LoggedEvent>>> tail = std::nullopt;

    uint64_t events_behind() const {
      return head.last_sequence - known.folded_sequence();
    }
    // Whether a reader sees no less in it than anybody has before.
    bool is_newest_seen() const {
      return origin == Origin::kCache &&
             known.folded_sequence() >= known.reach;
    }
    // Of the newest event in the state by time. The head knows it of the whole
    // log, whatever snapshot the state is from.
    int64_t newest_event_time_us() const {
      return events_behind() == 0 ? head.last_event_time_us
                                  : known.newest_event_time_us;
    }
  };

  // When a state's snapshot is due: after the interval, or, for a caller who is
  // behind, after kPostponedIntervals of them.
  enum class Snapshots { kInTime, kPostponed };
  static constexpr uint64_t kPostponedIntervals = 16;

  // States by user and, as the space, LoadedModel::id.
  using Cache = UserCache<KnownState>;

  // All but the model must outlive the memory. A snapshot is due when
  // `snapshot_interval` events of a user were folded since the last.
  UserMemory(LoadedModelPtr model, StateStore& store, Metrics& metrics,
             Cache& cache, std::shared_ptr<ReadingCache> readings,
             SnapshotWriter& snapshots, uint64_t snapshot_interval);

  const LoadedModel& model() const { return *model_; }

  // What is known of the user. An unknown user has the empty state. Where the
  // store has to be read for it, so are the first `tail_limit` events behind the
  // state, of the same moment. UNAVAILABLE or DATA_LOSS when the log's head
  // cannot be read.
  absl::StatusOr<Lookup> Find(absl::string_view user_id,
                              size_t tail_limit = 0) const;

  // A caller has folded the state of a look-up further by themselves, or read it
  // from a snapshot: until as much is published, nobody who comes after them
  // takes what is. Before the owner is asked for that.
  void NoteSeen(absl::string_view user_id, const KnownState& known) const {
    seen_ahead_.Note(user_id, known.incarnation, known.folded_sequence());
  }

  // Counts what a caller's look-up found (state_lookups_total).
  void CountLookup(const Lookup& lookup) const;

  // Takes at most `limit` events that `lookup` is behind, ready to fold: those of
  // its tail, which is gone then, or else those that the store has; none when it
  // is up to date. DATA_LOSS for a damaged log; ABORTED when the user was erased
  // since the look-up, or their log trimmed: look again. FAILED_PRECONDITION
  // when events that this model has no snapshot of were trimmed before.
  absl::StatusOr<UserFold> ReadTail(absl::string_view user_id,
                                    Lookup& lookup, size_t limit) const;

  // The owner's. At most `limit` events that come after the state at hand, ready
  // to fold: out of `tail` where it has them, which takes no look at the store,
  // else Find, then ReadTail. The fold is complete with the last event of what
  // it was taken from.
  absl::StatusOr<UserFold> BeginFold(absl::string_view user_id, LogTail& tail,
                                     size_t limit) const;

  void RunFolds(absl::Span<UserFold> folds, EngineScratch& scratch) const;

  // The owner's. Makes `known` what Find returns, unless something as new is
  // there; has a snapshot written when one is due. REQUIRES: the user was not
  // erased since it was read.
  void Publish(absl::string_view user_id, KnownState known,
               Snapshots snapshots = Snapshots::kInTime);

  // The summary of a state: the one that is kept with it, or one made now, and
  // kept if the state is published. REQUIRES: the model has seeds.
  std::shared_ptr<const UserSummary> Summarize(const KnownState& known,
                                               EngineScratch& scratch) const;

  // What the candidates of a request share: the reading that is kept with the
  // state, if somebody asked the same of it before, or one made now, and kept if
  // the state is published. The same bits in either case.
  std::shared_ptr<const Reading> Read(const KnownState& known,
                                      const RequestView& request,
                                      EngineScratch& scratch) const;

  // The owner's, who erases the log: forgets a user.
  void Forget(absl::string_view user_id);

  // Writes a snapshot of a state that is ahead of its last one. Blocks while many
  // wait to be written.
  void Save(absl::string_view user_id, const KnownState& known);
  // Blocks until what was saved before is written. An error if a write of any
  // snapshot has failed since the last call.
  absl::Status AwaitSaved() { return snapshots_.AwaitWritten(); }
  // The same as Save for one that leaves the cache, where it is worth it, and where that
  // keeps nobody waiting: else it is folded from an older one again.
  void SaveEvicted(absl::string_view user_id, const KnownState& known);

 private:
  // Find where the cache has nothing that can be used.
  absl::StatusOr<Lookup> FindStored(absl::string_view user_id,
                                    size_t tail_limit) const;
  // The state of a stored snapshot, if it can be used, else the empty one.
  absl::StatusOr<KnownState> FromSnapshot(
      const absl::StatusOr<std::optional<Snapshot>>& snapshot,
      const UserHead& head) const;
  // The events of ReadTail, where there are any.
  absl::StatusOr<std::vector<LoggedEvent>> ReadBehind(
      absl::string_view user_id, Lookup& lookup, size_t limit) const;
  // Read, where no reading is kept.
  std::shared_ptr<const Reading> MakeReading(const KnownState& known,
                                             const RequestView& request,
                                             const std::string& inputs,
                                             EngineScratch& scratch) const;
  // Publish, but for who has seen more.
  void Insert(absl::string_view user_id, KnownState known, Snapshots snapshots);
  // What a state takes in the cache.
  size_t SizeBytes(const KnownState& known) const;

  UserCacheKey KeyOf(absl::string_view user_id) const {
    return {user_id, model_->id};
  }

  const LoadedModelPtr model_;
  const Engine& engine_;  // the model's
  const EventLog& log_;
  const PublishedStates& published_;
  Metrics& metrics_;
  const ModelFoldMetrics fold_metrics_;
  Cache& cache_;
  const std::shared_ptr<ReadingCache> readings_;
  SnapshotWriter& snapshots_;
  const uint64_t snapshot_interval_;
  const size_t summary_bytes_;  // 0 without seeds
  mutable SeenAhead seen_ahead_;
};

}  // namespace qlarank

#endif  // QLARANK_SERVER_STATES_USER_MEMORY_H_
