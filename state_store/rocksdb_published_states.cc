// What readers take: head, snapshot and events of one moment.

#include <algorithm>
#include <optional>
#include <string>
#include <utility>

#include "rocksdb/db.h"
#include "rocksdb/snapshot.h"
#include "state_store/failpoint.h"
#include "state_store/keys.h"
#include "state_store/rocksdb_state_store_impl.h"
#include "state_store/validation.h"

namespace qlarank::rocksdb_internal {
namespace {

// Whether nothing of the log has gone between two looks at its head.
bool HasAllOf(const UserHead& before, const UserHead& now) {
  return now.incarnation == before.incarnation &&
         now.first_sequence == before.first_sequence;
}

// Whether the snapshot was made of events that came after the head was read.
bool IsAhead(const PublishedState& published) {
  return published.snapshot.ok() && published.snapshot->has_value() &&
         (*published.snapshot)->incarnation == published.head.incarnation &&
         (*published.snapshot)->folded_sequence > published.head.last_sequence;
}

}  // namespace

absl::StatusOr<PublishedState> RocksDbStateStore::ReadPublished(
    absl::string_view fingerprint, absl::string_view user_id,
    const HeldState* held, size_t limit) const {
  constexpr int kLooks = 3;
  const ColumnFamily states = States(fingerprint);
  if (states == nullptr) return FingerprintNotOpenError(fingerprint);
  rocksdb::ReadOptions options;
  // What was read is of one moment if nothing was erased or trimmed meanwhile,
  // which is rare. A snapshot of RocksDB's would do, too, but the end of each has
  // it compact files that it would have left alone.
  for (int look = 0; look < kLooks; ++look) {
    auto published =
        LookUpPublished(states, fingerprint, user_id, held, limit, options);
    if (!published.ok() || published->head.incarnation == 0) return published;
    const absl::StatusOr<UserHead> now = ReadHead(user_id);
    if (!now.ok()) return now.status();
    if (HasAllOf(published->head, *now) && !IsAhead(*published)) {
      return published;
    }
  }
  rocksdb::ManagedSnapshot moment(db_.get());
  options.snapshot = moment.snapshot();
  return LookUpPublished(states, fingerprint, user_id, held, limit, options);
}

absl::StatusOr<PublishedState> RocksDbStateStore::LookUpPublished(
    const ColumnFamily& states, absl::string_view fingerprint,
    absl::string_view user_id, const HeldState* held, size_t limit,
    const rocksdb::ReadOptions& options) const {
  PublishedState published;
  absl::StatusOr<UserHead> head = ReadHead(user_id, options);
  if (!head.ok()) return head.status();
  published.head = *std::move(head);
  if (published.head.incarnation == 0) return published;
  QLARANK_FAILPOINT("published.head_read");
  if (held != nullptr && IsContinued(published.head, *held)) {
    published.after = held->folded_sequence;
  } else {
    published.snapshot = ReadSnapshot(states, fingerprint, user_id, options);
    published.after = PointOf(published.head, published.snapshot);
  }
  QLARANK_FAILPOINT("published.snapshot_read");
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
