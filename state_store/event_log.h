// The event log, which is the truth about users: append-only but for erasure and
// for trimming from the front. With it go the heads, which say where each log
// ends, the marks of those who write it, and the schemas that its events name.
//
// Consistency: per user, calls of AppendEvents, DeleteUser and TrimLog must not
// overlap (every user has one owner, who makes them); everything else may be
// called from any thread at any time. A reader sees a whole append or nothing of
// it.
//
// Errors: INVALID_ARGUMENT for a user id that is empty or over 65,535 bytes
// (any bytes will do, NUL too); DATA_LOSS when a record fails its checksum or
// cannot be parsed, naming the user and the record; UNAVAILABLE when the disk
// fails. Missing data is not an error: see each method.
#ifndef QLARANK_STATE_STORE_EVENT_LOG_H_
#define QLARANK_STATE_STORE_EVENT_LOG_H_

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
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
  // Names the features: EventLog::PutSchema. 0: an event from before there
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
  // What the user's one writer was given by GetHeadToExtend, and has done nothing
  // to since. Null: it is looked up, which notices a second writer.
  std::shared_ptr<const UserHead> head_before = nullptr;
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

// What is to be remembered of an erasure.
struct ErasureNote {
  int64_t time_us = 0;
  std::string principal;  // who asked; empty when it is not known
  std::string reason;     // "request", "idle"
};

class LogWalk;

class EventLog {
 public:
  virtual ~EventLog() = default;

  // The partitions that users belong to, by a hash of their ids
  // (partition_hash.h): fixed when the store was made.
  virtual uint32_t num_partitions() const = 0;

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

  // The same for the user's one writer, never null: as they wrote it last, from
  // memory where it is kept there. Not for readers, who may see events before it
  // does.
  virtual absl::StatusOr<std::shared_ptr<const UserHead>> GetHeadToExtend(
      absl::string_view user_id) const {
    absl::StatusOr<UserHead> head = GetHead(user_id);
    if (!head.ok()) return head.status();
    return std::make_shared<const UserHead>(*std::move(head));
  }

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

  // Begins a walk (log_walk.h) with the first user whose key is not before that
  // of `from_user`, who need not be there; with the first of all for "".
  virtual absl::StatusOr<std::unique_ptr<LogWalk>> WalkLogs(
      absl::string_view from_user) const = 0;

  // Removes the user's events, head and snapshots under every fingerprint, and
  // adds the record of it, in one durable batch. Returns how many events were
  // removed; 0 for an unknown user, of whom no record is made.
  virtual absl::StatusOr<uint64_t> DeleteUser(absl::string_view user_id,
                                              const ErasureNote& note) = 0;
  absl::StatusOr<uint64_t> DeleteUser(absl::string_view user_id) {
    return DeleteUser(user_id, ErasureNote());
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
};

}  // namespace qlarank

#endif  // QLARANK_STATE_STORE_EVENT_LOG_H_
