// What readers take: head, snapshot and events of one moment.

#include <algorithm>
#include <optional>
#include <string>
#include <utility>

#include "rocksdb/db.h"
#include "rocksdb/snapshot.h"
#include "state_store/keys.h"
#include "state_store/rocksdb_state_store_impl.h"
#include "state_store/validation.h"

namespace qlarank::rocksdb_internal {

absl::StatusOr<PublishedState> RocksDbStateStore::ReadPublished(
    absl::string_view fingerprint, absl::string_view user_id,
    const HeldState* held, size_t limit) const {
  const ColumnFamily states = States(fingerprint);
  if (states == nullptr) return FingerprintNotOpenError(fingerprint);
  rocksdb::ManagedSnapshot moment(db_.get());
  rocksdb::ReadOptions options;
  options.snapshot = moment.snapshot();

  PublishedState published;
  absl::StatusOr<UserHead> head = ReadHead(user_id, options);
  if (!head.ok()) return head.status();
  published.head = *std::move(head);
  if (published.head.incarnation == 0) return published;
  if (held != nullptr && IsContinued(published.head, *held)) {
    published.after = held->folded_sequence;
  } else {
    published.snapshot = ReadSnapshot(states, fingerprint, user_id, options);
    published.after = PointOf(published.head, published.snapshot);
  }
  published.events =
      ScanCounted(user_id, published.head, published.after + 1, limit, options);
  return published;
}

absl::StatusOr<std::vector<LoggedEvent>> RocksDbStateStore::ScanCounted(
    absl::string_view user_id, const UserHead& head, uint64_t from_sequence,
    size_t limit, const rocksdb::ReadOptions& options) const {
  if (from_sequence > head.last_sequence) return std::vector<LoggedEvent>();
  absl::Status kept = ValidateNotTrimmed(user_id, head, from_sequence);
  if (!kept.ok()) return kept;
  const uint64_t due =
      std::min<uint64_t>(limit, head.last_sequence - from_sequence + 1);
  if (due == 0) return std::vector<LoggedEvent>();
  absl::StatusOr<std::vector<LoggedEvent>> events =
      ScanLog(user_id, from_sequence, due, options);
  if (events.ok() && events->size() < due) {
    return MissingEventError(user_id, from_sequence + events->size());
  }
  return events;
}

}  // namespace qlarank::rocksdb_internal
