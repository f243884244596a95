// Snapshots of user states, which can all be dropped and made again from the
// event log, unless it was trimmed. A state is opaque bytes under a header;
// models are known by their fingerprints alone.
//
// Thread-safe. Errors are those of EventLog.
#ifndef QLARANK_STATE_STORE_STATE_SNAPSHOTS_H_
#define QLARANK_STATE_STORE_STATE_SNAPSHOTS_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace qlarank {

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

// How much is kept under a fingerprint, about.
struct StatesSize {
  std::string fingerprint;
  uint64_t users = 0;
  uint64_t bytes = 0;  // in table files and in memory
};

class StateSnapshots {
 public:
  virtual ~StateSnapshots() = default;

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

  // Of each of them, in order. Asks no disk.
  virtual std::vector<StatesSize> MeasureStates() const = 0;

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
};

}  // namespace qlarank

#endif  // QLARANK_STATE_STORE_STATE_SNAPSHOTS_H_
