// What a reader who is not a user's owner needs to make their state: the head,
// the newest snapshot and the events behind it, all of one moment and in one
// call. So nothing can come between, and a reader need not look twice: an erasure
// or a trimming is before all that they were given, or after.
//
// Thread-safe. Errors are those of EventLog.
#ifndef QLARANK_STATE_STORE_PUBLISHED_STATES_H_
#define QLARANK_STATE_STORE_PUBLISHED_STATES_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "state_store/event_log.h"
#include "state_store/state_snapshots.h"

namespace qlarank {

// A state that a reader has already.
struct HeldState {
  uint64_t incarnation = 0;
  uint64_t folded_sequence = 0;
};

struct PublishedState {
  UserHead head;  // incarnation 0: no such user, and nothing else is here

  // As it is stored, of whatever life; not read (nullopt) where the reader holds
  // a state that is good enough. DATA_LOSS for one that is damaged.
  absl::StatusOr<std::optional<Snapshot>> snapshot =
      std::optional<Snapshot>();

  // The events after this sequence, in their order: that of the reader's own
  // state, where the log continues it, else of the snapshot, else 0, where
  // neither is of this life and of this log. DATA_LOSS for a damaged event,
  // FAILED_PRECONDITION when the first of them was trimmed.
  uint64_t after = 0;
  absl::StatusOr<std::vector<LoggedEvent>> events =
      std::vector<LoggedEvent>();
};

class PublishedStates {
 public:
  virtual ~PublishedStates() = default;

  // What there is of the user under a fingerprint, with at most `limit` events.
  // `held` may be null; one of another life, ahead of the log, or behind what was
  // trimmed of it is of no use.
  // An error only where not even the head can be read, or, FAILED_PRECONDITION,
  // for a fingerprint that is not open.
  virtual absl::StatusOr<PublishedState> ReadPublished(
      absl::string_view fingerprint, absl::string_view user_id,
      const HeldState* held, size_t limit) const = 0;
};

}  // namespace qlarank

#endif  // QLARANK_STATE_STORE_PUBLISHED_STATES_H_
