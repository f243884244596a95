// What qlarank remembers of its users: the event log, which is the truth, and
// snapshots of user states, which can always be rebuilt from it.
//
// The store does not look into a state: it is opaque bytes under a header. It
// knows nothing of models but their fingerprints.
//
// Consistency: per user, calls of AppendEvents and DeleteUser must not overlap
// (the ingest pipeline gives every user one writer); everything else may be
// called from any thread at any time. A reader sees a whole append or nothing
// of it.
//
// Errors: INVALID_ARGUMENT for a user id that is empty or over 65,535 bytes
// (any bytes will do, NUL too); DATA_LOSS when a record fails its checksum or
// cannot be parsed, naming the user and the record; UNAVAILABLE when the disk
// fails. Missing data is not an error: see each method.
#ifndef QLARANK_STATE_STORE_STATE_STORE_H_
#define QLARANK_STATE_STORE_STATE_STORE_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace qlarank {

// One event as the log keeps it.
struct LoggedEvent {
  uint64_t item_id = 0;
  std::string action;
  int64_t time_us = 0;  // since the Unix epoch
  std::string source;
  uint64_t source_sequence = 0;
  std::vector<float> features;
  // Names the features: StateStore::PutSchema. 0: an event from before there
  // were schemas, of the first one.
  uint32_t schema = 0;
  // How many upserts of items there had been when it was accepted.
  uint64_t catalogue_version = 0;

  friend bool operator==(const LoggedEvent&, const LoggedEvent&) = default;
};

// What must be known of a user before another event can be appended.
struct UserHead {
  // Tells a user from a later user of the same name, after erasure: the position
  // of their first event in their partition, plus 1 (partition_position.h). 0: no
  // such user, and the other members are empty.
  uint64_t incarnation = 0;
  uint64_t last_sequence = 0;  // events in the log, numbered from 1
  int64_t last_event_time_us = 0;
  std::map<std::string, uint64_t, std::less<>> watermarks;  // by source
  // Of the oldest event that is still in the log: those before it were trimmed.
  uint64_t first_sequence = 1;

  // Events in the log.
  uint64_t num_events() const { return last_sequence - (first_sequence - 1); }

  friend bool operator==(const UserHead&, const UserHead&) = default;
};

// Events of one user, with the head that holds after them.
struct UserAppend {
  std::string user_id;
  UserHead head_after;
  // Take the sequences head_after.last_sequence - events.size() + 1, ....
  std::vector<LoggedEvent> events;
};

// A position that somebody keeps, by a name that is theirs, opaque here: what
// they have taken events from, or how many there were.
struct Mark {
  std::string name;   // 1 to kMaxMarkNameBytes bytes of any value
  std::string value;  // at most kMaxMarkValueBytes

  friend bool operator==(const Mark&, const Mark&) = default;
};
inline constexpr size_t kMaxMarkNameBytes = 255;
inline constexpr size_t kMaxMarkValueBytes = 65'535;

// How many partitions a store may divide its users among.
inline constexpr uint32_t kDefaultPartitions = 16;
inline constexpr uint32_t kMaxPartitions = 4096;

// A user state at one point of the log.
struct Snapshot {
  uint64_t incarnation = 0;
  uint64_t folded_sequence = 0;
  std::string state;  // opaque here
  // Of the newest event in it by time; not known of snapshots that were written
  // before this was kept.
  std::optional<int64_t> newest_event_time_us;

  friend bool operator==(const Snapshot&, const Snapshot&) = default;
};

struct UserSnapshot {
  std::string user_id;
  Snapshot snapshot;
};

// What is to be remembered of an erasure.
struct ErasureNote {
  int64_t time_us = 0;
  std::string principal;  // who asked; empty when it is not known
  std::string reason;     // "request", "idle"
};

// An erasure, without anything of the user's.
struct Erasure {
  std::string user_digest;  // DigestOfUser of their id
  ErasureNote note;
  uint64_t events = 0;
  // Nothing of theirs is in the store's files any more.
  bool purged = false;
};

// How far a source is complete: every event at or below it is in a log or given
// up, for all users.
struct SourceMark {
  uint64_t complete_through = 0;  // above 0
  std::string note;               // of who says so

  friend bool operator==(const SourceMark&, const SourceMark&) = default;
};

// One of the backups in a folder of backups.
struct BackupInfo {
  uint32_t id = 0;         // from 1, newer ones are greater
  int64_t time_us = 0;     // when it was made; whole seconds
  uint64_t bytes = 0;      // of the files it needs, shared ones counted
  uint64_t new_bytes = 0;  // of those that no older backup had; only of a new
                           // backup

  friend bool operator==(const BackupInfo&, const BackupInfo&) = default;
};

class StateStore {
 public:
  virtual ~StateStore() = default;

  // The partitions that users belong to, by a hash of their ids
  // (partition_hash.h): fixed when the store was made.
  virtual uint32_t num_partitions() const = 0;

  // -- The event log --------------------------------------------------------

  // Appends all of `appends`, at most one per user, and replaces `marks`, in one
  // atomic batch: a mark stands for the events that came with it, or neither is
  // there. Blocks until they are durable: after OK they survive a crash of the
  // machine. After UNAVAILABLE it is unknown whether they will be found after a
  // restart.
  //
  // FAILED_PRECONDITION, and nothing is appended, when the events of a user do
  // not continue their log: another incarnation, or a sequence that is taken or
  // skipped. An append without events replaces the head alone. INVALID_ARGUMENT
  // for a mark that is there twice, or whose name or value is too long.
  virtual absl::Status AppendEvents(absl::Span<const UserAppend> appends,
                                    absl::Span<const Mark> marks) = 0;
  absl::Status AppendEvents(absl::Span<const UserAppend> appends) {
    return AppendEvents(appends, {});
  }

  // The value of a mark; nullopt when there is none. DATA_LOSS for one that is
  // damaged.
  virtual absl::StatusOr<std::optional<std::string>> GetMark(
      absl::string_view name) const = 0;

  // All marks, by name. DATA_LOSS when some are damaged, with their number and
  // the first one's name.
  virtual absl::StatusOr<std::vector<Mark>> ListMarks() const = 0;

  // The user's head; an empty one (incarnation 0) for an unknown user.
  virtual absl::StatusOr<UserHead> GetHead(absl::string_view user_id) const = 0;

  // At most `limit` events of the user, in sequence order, from
  // `from_sequence` (>= 1) on. Empty when there are none.
  // DATA_LOSS also when a sequence is missing in between; FAILED_PRECONDITION
  // when the event at `from_sequence` was trimmed.
  virtual absl::StatusOr<std::vector<LoggedEvent>> ReadEvents(
      absl::string_view user_id, uint64_t from_sequence,
      size_t limit) const = 0;

  // The number, from 1, of the schema with exactly these names of event
  // features in this order; recorded durably if it is not known. Blocks then.
  virtual absl::StatusOr<uint32_t> PutSchema(
      const std::vector<std::string>& event_features) = 0;

  // All schemas: number n is at n - 1.
  virtual absl::StatusOr<std::vector<std::vector<std::string>>> ListSchemas()
      const = 0;

  // Calls `visit` for every user, in no particular order, until it returns
  // false. Sees the users of one moment; `visit` may call the store. Damaged
  // heads are skipped and reported at the end: DATA_LOSS with their number and
  // the first one's name.
  virtual absl::Status ForEachUser(
      absl::FunctionRef<bool(absl::string_view user_id, const UserHead& head)>
          visit) const = 0;

  // -- Snapshots ------------------------------------------------------------

  // Makes room for snapshots of one fingerprint; does nothing if it is there.
  // Must have returned before the fingerprint is used below:
  // FAILED_PRECONDITION for one that is not open. A store opens those it finds
  // on the disk. INVALID_ARGUMENT unless it is 1 to 255 letters, digits, '-',
  // '_', '.', ':'.
  virtual absl::Status OpenFingerprint(absl::string_view fingerprint) = 0;

  // Drops every snapshot of a fingerprint at once; does nothing if it is not
  // there.
  virtual absl::Status DropFingerprint(absl::string_view fingerprint) = 0;

  virtual absl::StatusOr<std::vector<std::string>> ListFingerprints() const = 0;

  // Replaces the snapshots of users, in one write. Not synced: a crash may lose
  // them, and they are then rebuilt from the log. An error is that of any of
  // them, and the others may or may not have been written.
  //
  // Leaves out a snapshot whose incarnation is not the user's (any more): an
  // eviction that an erasure overtook must not bring a state back. Leaves out,
  // too, and counts ("snapshots_refused_total"), one that would go back: that
  // holds fewer events than the one it would replace, or does not reach up to
  // the first event that is still in the log. Returns how many of these there
  // were.
  virtual absl::StatusOr<size_t> PutSnapshots(
      absl::string_view fingerprint,
      absl::Span<const UserSnapshot> snapshots) = 0;
  absl::Status PutSnapshot(absl::string_view fingerprint,
                           absl::string_view user_id,
                           const Snapshot& snapshot) {
    const UserSnapshot one{std::string(user_id), snapshot};
    return PutSnapshots(fingerprint, absl::MakeConstSpan(&one, 1)).status();
  }

  // The user's newest snapshot; nullopt when there is none. DATA_LOSS for one
  // that is damaged: the caller rebuilds from the log.
  virtual absl::StatusOr<std::optional<Snapshot>> GetSnapshot(
      absl::string_view fingerprint, absl::string_view user_id) const = 0;

  // -- Marks of sources -----------------------------------------------------

  // Replaces the mark of a source. Blocks until it is durable.
  virtual absl::Status PutSourceMark(absl::string_view source,
                                     const SourceMark& mark) = 0;

  // nullopt when the source has none. DATA_LOSS for one that is damaged.
  virtual absl::StatusOr<std::optional<SourceMark>> GetSourceMark(
      absl::string_view source) const = 0;

  // Visits every mark, in no particular order. Damaged ones are skipped and
  // reported at the end: DATA_LOSS with their number and the first one's name.
  virtual absl::Status ForEachSourceMark(
      absl::FunctionRef<void(absl::string_view source, const SourceMark& mark)>
          visit) const = 0;

  // -- Erasure and upkeep ---------------------------------------------------

  // Removes the user's events, head and snapshots under every fingerprint, and
  // adds the record of it, in one durable batch. Returns how many events were
  // removed; 0 for an unknown user, of whom no record is made.
  virtual absl::StatusOr<uint64_t> DeleteUser(absl::string_view user_id,
                                              const ErasureNote& note) = 0;
  absl::StatusOr<uint64_t> DeleteUser(absl::string_view user_id) {
    return DeleteUser(user_id, ErasureNote());
  }

  // At most `limit` erasures, the newest first; of one user only, unless
  // `user_id` is empty.
  virtual absl::StatusOr<std::vector<Erasure>> ListErasures(
      absl::string_view user_id, size_t limit) const = 0;

  // Of a user in ListErasures: 32 hexadecimal digits that do not tell who they
  // are without the store.
  virtual std::string DigestOfUser(absl::string_view user_id) const = 0;

  // Makes what was erased leave the store's files, copies elsewhere not: blocks
  // while it rewrites the table files that hold it, some tens of MB at a time,
  // each file at most once. Calls `pause` after each step with about as many
  // bytes as it rewrote; where that returns false, ends there, and the next
  // call goes on. Returns how many erasures were seen to.
  using PurgePause = absl::FunctionRef<bool(uint64_t bytes)>;
  virtual absl::StatusOr<uint64_t> PurgeErased(PurgePause pause) = 0;
  // As fast as the disk allows.
  absl::StatusOr<uint64_t> PurgeErased() {
    return PurgeErased([](uint64_t) { return true; });
  }

  // Removes a user's events before `first_kept`, durably, and makes their
  // snapshots under `fingerprints` durable with that: they stand for what is
  // gone. Does nothing for an unknown user or when nothing is to be removed.
  // Must not overlap with appends to and the erasure of the user.
  //
  // FAILED_PRECONDITION, and nothing is removed, unless the user has under
  // every one of `fingerprints` a good snapshot of all that would go, and
  // INVALID_ARGUMENT without a fingerprint or for a sequence beyond the log.
  virtual absl::Status TrimLog(absl::string_view user_id, uint64_t first_kept,
                               absl::Span<const std::string> fingerprints) = 0;

  // Makes everything written so far durable, snapshots too.
  virtual absl::Status Flush() = 0;

  // Why no write is taken now, UNAVAILABLE; OK while they are. Asks no disk.
  virtual absl::Status WriteFault() const { return absl::OkStatus(); }

  // -- Copies ---------------------------------------------------------------
  //
  // Both hold at least what was acknowledged before the call, and no append or
  // erasure in part; what is acknowledged meanwhile may be in them or not. They
  // may run beside everything else, but not beside each other. UNIMPLEMENTED
  // for a store without files.

  // Makes a store of its own at `path`: table files are hard links where the
  // file system allows it, the rest is copied. Whole or not there at all.
  // ALREADY_EXISTS when something is at `path`; NOT_FOUND when its parent
  // folder is not.
  virtual absl::Status Checkpoint(const std::string& path);

  // Adds a backup to `folder`, made when it is not there, copying only what
  // none of its backups has; then removes all but the newest `keep` (0: none)
  // and what only they needed. store_copies.h restores from it.
  virtual absl::StatusOr<BackupInfo> Backup(const std::string& folder,
                                            uint32_t keep);

  // Figures for operators, by metric name without prefix (for instance
  // "block_cache_usage_bytes"). Cheap enough for every scrape.
  virtual std::map<std::string, double> Statistics() const = 0;
};

}  // namespace qlarank

#endif  // QLARANK_STATE_STORE_STATE_STORE_H_
