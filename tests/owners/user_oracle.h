// What must be known of one user to say what their log and their states are:
// which events were taken, in which order, in which of their lives, and how far
// anybody has seen them.
//
// One walker gives a user all their operations, one after the other, and owners
// keep that order: so the oracle knows every outcome when an operation is
// issued, and after a crash the user stands where some operation left them, none
// before the last one that was acknowledged.
//
// Of every state the oracle has a digest of its bytes, made by folding one event
// after the other: whoever reads a state, whenever, holds it against that.
//
// Thread-safe, but for what is the walker's: one call of those at a time.
#ifndef QLARANK_TESTS_OWNERS_USER_ORACLE_H_
#define QLARANK_TESTS_OWNERS_USER_ORACLE_H_

#include <array>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "model/engine.h"
#include "qlarank/v1/event.pb.h"
#include "state_store/state_store.h"

namespace qlarank::testing {

inline constexpr size_t kSources = 3;

// Of a serialized state.
uint64_t DigestOf(absl::string_view state);

// What becomes of an event.
enum class Outcome { kApplied, kDuplicate, kInvalid, kHeldBack, kCancelled };

// Where an operation leaves a user.
struct Standing {
  size_t life = 0;  // ended by an erasure of one who has events
  uint64_t events = 0;
  std::array<uint64_t, kSources> watermarks = {};
};

// What a reader found.
struct Sight {
  // 0: the user is unknown. Nothing: the reader was not told.
  std::optional<uint64_t> incarnation;
  uint64_t first_sequence = 1;
  uint64_t last_sequence = 0;
  uint64_t folded = 0;
  std::optional<uint64_t> digest;
};

class UserOracle {
 public:
  // Events are those of `source_names`, whose marks are in `marks`. All must
  // outlive the oracle.
  UserOracle(std::string user_id, std::vector<std::string> source_names,
             const std::array<uint64_t, kSources>& marks, const Engine& engine);

  const std::string& user_id() const { return user_id_; }
  // What comes with a sequence of a source is always the same.
  v1::Event EventOf(size_t source, uint64_t sequence) const;

  // -- The walker's -----------------------------------------------------------

  // Of all that was issued.
  const Standing& issued() const { return issued_; }
  uint64_t sent(size_t source) const { return sent_[source]; }
  // Those that were refused, and hold back what follows them.
  const std::set<uint64_t>& refused(size_t source) const {
    return refused_[source];
  }
  // The lowest sequence that the source should send: one that was refused, or
  // the next.
  uint64_t NextOf(size_t source) const;
  // The lowest that was not sent in an earlier life.
  uint64_t FirstOf(size_t source) const ABSL_LOCKS_EXCLUDED(mutex_);

  // An event is sent, and this becomes of it.
  Outcome Send(size_t source, uint64_t sequence, Outcome unless_sound,
               bool give_up, EngineScratch& scratch);
  // An erasure is ordered; so many events must be gone.
  struct Gone {
    uint64_t at_least;
    uint64_t at_most;
  };
  Gone Erase();
  // It is done.
  void Erased();
  // All through there is given up of a source.
  void Mark(size_t source, uint64_t through);
  // An operation that left them there is acknowledged.
  void Acknowledge(const Standing& standing);
  // A trim up to an event, of which nothing is known yet; then that it is done.
  void Trimming(uint64_t first_kept);
  void Trimmed(uint64_t first_kept);
  // The snapshots that were seen before a flush begins are durable after it.
  void FlushBegins();
  void Flushed();
  // Whether logs are trimmed without being told to, in this life of the process.
  void set_trimmed_by_policy(bool trimmed) { trimmed_by_policy_ = trimmed; }

  // Notes an operation, for whoever looks for what went wrong.
  void Note(uint64_t operation, std::string what);
  std::string History() const ABSL_LOCKS_EXCLUDED(mutex_);

  // What is wrong with the log; empty when nothing is. No operation may be under
  // way.
  std::string CheckLog(const StateStore& store) const
      ABSL_LOCKS_EXCLUDED(mutex_);
  // What is wrong with the snapshot, also as seen from earlier.
  std::string CheckSnapshot(const StateStore& store,
                            const std::string& fingerprint)
      ABSL_LOCKS_EXCLUDED(mutex_);

  // Another life of the process, with this store. `possible`: where operations
  // leave the user that may have come to an end, in their order, after the last
  // one that surely has. What is wrong, or empty.
  std::string Restart(const StateStore& store, const std::string& fingerprint,
                      std::vector<Standing> possible, EngineScratch& scratch)
      ABSL_LOCKS_EXCLUDED(mutex_);

  // -- Anybody's --------------------------------------------------------------

  // What a reader who begins now must see at least.
  struct Least {
    size_t life = 0;
    uint64_t events = 0;        // acknowledged, of that life
    bool erasing = false;       // an erasure is under way
    uint64_t erasures = 0;      // ordered
    uint64_t first_sequence = 0;
    // Of lives that somebody has seen to this extent.
    struct Seen {
      uint64_t first_sequence = 1;
      uint64_t last_sequence = 0;
      uint64_t folded = 0;
    };
    std::map<size_t, Seen> seen;
  };
  Least Begin() const ABSL_LOCKS_EXCLUDED(mutex_);
  // What is wrong with what a reader saw; empty when nothing is.
  std::string End(const Least& least, const Sight& sight)
      ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  struct Position {
    size_t source;
    uint64_t sequence;
  };
  struct Life {
    uint64_t incarnation = 0;  // once somebody has seen it
    std::vector<Position> events;
    std::vector<uint64_t> digests;  // after so many events
    std::shared_ptr<const UserState> state;
    // What sources had sent before: no two lives have an event in common.
    std::array<uint64_t, kSources> sent_before = {};
    uint64_t first_at_least = 1, first_at_most = 1;
    Least::Seen seen;
    // Snapshots: the newest seen, when a flush began, and what is durable.
    uint64_t snapshot = 0, flushing = 0, durable = 0;
  };

  std::shared_ptr<const UserState> Fold(const UserState& before,
                                        const Position& position,
                                        EngineScratch& scratch) const;
  void NewLife(size_t number) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Cut(const Standing& standing, EngineScratch& scratch)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // The life that a reader saw, if any is possible.
  std::optional<size_t> LifeOf(const Sight& sight)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  std::string CheckUnknown(const Least& least) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  std::string CheckEvents(const UserHead& head,
                          const std::vector<LoggedEvent>& log,
                          const Standing& standing) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const std::string user_id_;
  const std::vector<std::string> source_names_;
  const std::array<uint64_t, kSources>& marks_;
  const Engine& engine_;

  // The walker's.
  Standing issued_;
  std::array<uint64_t, kSources> sent_ = {};
  std::array<std::set<uint64_t>, kSources> refused_;  // and waited for
  bool trimmed_by_policy_ = false;

  mutable absl::Mutex mutex_;
  Standing acknowledged_ ABSL_GUARDED_BY(mutex_);
  uint64_t erasures_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t erasures_done_ ABSL_GUARDED_BY(mutex_) = 0;
  std::map<size_t, Life> lives_ ABSL_GUARDED_BY(mutex_);
  std::deque<std::string> history_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace qlarank::testing

#endif  // QLARANK_TESTS_OWNERS_USER_ORACLE_H_
