// What every StateStore refuses, in one place so that all refuse the same.
// Thread-safe: pure functions. Each returns OK or the status that the store's
// method returns.
#ifndef QLARANK_STATE_STORE_VALIDATION_H_
#define QLARANK_STATE_STORE_VALIDATION_H_

#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "state_store/state_store.h"

namespace qlarank {

// INVALID_ARGUMENT for an id that is empty or over kMaxUserIdBytes.
absl::Status ValidateUserId(absl::string_view user_id);

// INVALID_ARGUMENT for a bad user id or a sequence of 0.
absl::Status ValidateRead(absl::string_view user_id, uint64_t from_sequence);

// INVALID_ARGUMENT unless 1 to kMaxPartitions.
absl::Status ValidatePartitions(uint32_t partitions);

// INVALID_ARGUMENT unless it is 1 to 255 letters, digits, '-', '_', '.' or ':'.
absl::Status ValidateFingerprint(absl::string_view fingerprint);

// INVALID_ARGUMENT for a bad user id, a user there twice, a head without
// incarnation or one that counts fewer events than are appended.
absl::Status ValidateAppends(absl::Span<const UserAppend> appends);

// INVALID_ARGUMENT for a mark that is there twice, without a name, or too long.
absl::Status ValidateMarks(absl::Span<const Mark> marks);

// FAILED_PRECONDITION unless `append` continues `head`, the user's head before
// it: the events must take the next sequences and belong to the same
// incarnation. This catches a second writer before it overwrites an event.
absl::Status ValidateContinues(const UserHead& head, const UserAppend& append);

// FAILED_PRECONDITION unless the entries continue a catalogue whose newest
// version is `newest`: this catches a second writer.
absl::Status ValidateEntries(uint64_t newest,
                             absl::Span<const CatalogueEntry> entries);

// FAILED_PRECONDITION when the event at `from_sequence` was trimmed.
absl::Status ValidateNotTrimmed(absl::string_view user_id, const UserHead& head,
                                uint64_t from_sequence);

// INVALID_ARGUMENT for what TrimLog cannot do whatever the snapshots are.
absl::Status ValidateTrim(absl::string_view user_id, const UserHead& head,
                          uint64_t first_kept,
                          absl::Span<const std::string> fingerprints);

// FAILED_PRECONDITION unless `snapshot` stands for all events before
// `first_kept`.
absl::Status ValidateStandsFor(absl::string_view fingerprint,
                               absl::string_view user_id, const UserHead& head,
                               const std::optional<Snapshot>& snapshot,
                               uint64_t first_kept);

// Whether writing `snapshot`, which is of the user's present life, would lose
// what `stored`, the one it would replace, or a trimmed part of the log was:
// events that it does not hold and that nothing else does. A stored one of
// another life, or ahead of the log, is worth nothing.
bool GoesBack(const UserHead& head, const std::optional<Snapshot>& stored,
              const Snapshot& snapshot);

// Whether a state that a reader holds is of the user's present life, and no
// further than their log.
bool IsOfLog(const UserHead& head, const HeldState& held);
// Whether, besides, the events behind it are still in the log.
bool IsContinued(const UserHead& head, const HeldState& held);

// After which event the state of a stored snapshot goes on: 0 where there is
// none that can be used.
uint64_t PointOf(const UserHead& head,
                 const absl::StatusOr<std::optional<Snapshot>>& snapshot);

// DATA_LOSS: the log has no such event, though its head counts it.
absl::Status MissingEventError(absl::string_view user_id, uint64_t sequence);

// The status of a use of a fingerprint that is not open.
absl::Status FingerprintNotOpenError(absl::string_view fingerprint);

// How messages name a user: quoted, what does not print escaped, long ids cut.
std::string QuotedUser(absl::string_view user_id);

}  // namespace qlarank

#endif  // QLARANK_STATE_STORE_VALIDATION_H_
