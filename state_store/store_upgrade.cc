#include "state_store/store_upgrade.h"

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "rocksdb/db.h"
#include "state_store/folders.h"
#include "state_store/keys.h"
#include "state_store/partition_hash.h"
#include "state_store/partition_position.h"
#include "state_store/record_names.h"
#include "state_store/records.h"
#include "state_store/rocksdb_inspect.h"
#include "state_store/rocksdb_new_store.h"
#include "state_store/rocksdb_open.h"
#include "state_store/rocksdb_state_store_impl.h"
#include "state_store/rocksdb_user_walk.h"
#include "state_store/validation.h"

namespace qlarank {
namespace {

using rocksdb_internal::NewStore;
using rocksdb_internal::OpenedStore;
using rocksdb_internal::RocksDbStateStore;
using rocksdb_internal::ToView;
using rocksdb_internal::UserWalk;

constexpr size_t kEventsAtATime = 4096;
constexpr uint64_t kProgressUsers = 256;  // between two reports

// Keys and values of format 1 are those of format 2, but for what is new: marks,
// and the format record. So it is read by the code that reads format 2.
class Upgrade {
 public:
  // `to` is empty. All must outlive this.
  Upgrade(OpenedStore from, NewStore& to, const UpgradeOptions& options);

  absl::StatusOr<UpgradeTotals> Run();

 private:
  // Erasures, marks of sources, schemas, and the key of digests.
  absl::Status CopyRecords();
  absl::Status CopyRecord(absl::string_view key, absl::string_view value);
  absl::Status CopyUser(const std::string& user_id);
  absl::Status CopyLog(const std::string& user_id, const UserHead& head);
  absl::Status CopySnapshots(const std::string& user_id, const UserHead& before,
                             uint64_t incarnation);
  absl::Status WritePositions();
  // The status of what went wrong with a user, without their id.
  static absl::Status OfUser(const std::string& user_id, absl::Status status);

  // From the last to the first: the walk's iterators before the database.
  rocksdb::DB* const db_;
  std::vector<std::string> fingerprints_;
  absl::Status walk_status_;
  std::unique_ptr<RocksDbStateStore> from_;
  std::unique_ptr<UserWalk> walk_;
  NewStore& to_;
  const UpgradeOptions& options_;
  UpgradeTotals totals_;
  std::vector<uint64_t> positions_;  // by partition
};

Upgrade::Upgrade(OpenedStore from, NewStore& to, const UpgradeOptions& options)
    : db_(from.db.get()),
      to_(to),
      options_(options),
      positions_(options.partitions) {
  totals_.partitions = options.partitions;
  for (const auto& [fingerprint, unused] : from.states) {
    fingerprints_.push_back(fingerprint);
  }
  walk_ = std::make_unique<UserWalk>(
      from, [this](absl::string_view family, absl::string_view what) {
        walk_status_.Update(
            absl::DataLossError(absl::StrCat(family, ": ", what)));
      });
  from_ = std::make_unique<RocksDbStateStore>(std::move(from));
}

absl::StatusOr<UpgradeTotals> Upgrade::Run() {
  // First: events are stamped with the schema that they had.
  absl::Status status = CopyRecords();
  for (std::string user_id; status.ok() && walk_->Next(user_id);) {
    status = CopyUser(user_id);
    if (options_.on_progress != nullptr &&
        totals_.users % kProgressUsers == 0) {
      options_.on_progress(totals_);
    }
  }
  status.Update(walk_status_);
  if (status.ok()) status = WritePositions();
  if (status.ok()) status = to_.Finish();
  if (!status.ok()) return status;
  return totals_;
}

absl::Status Upgrade::CopyRecords() {
  const std::unique_ptr<rocksdb::Iterator> it(
      db_->NewIterator(rocksdb::ReadOptions()));
  for (it->SeekToFirst(); it->Valid(); it->Next()) {
    absl::Status status = CopyRecord(ToView(it->key()), ToView(it->value()));
    if (!status.ok()) return status;
  }
  return rocksdb_internal::ToAbslStatus(it->status(), "reading records");
}

absl::Status Upgrade::CopyRecord(absl::string_view key,
                                 absl::string_view value) {
  if (key == rocksdb_internal::kFormatKey) return absl::OkStatus();
  absl::Status whole;
  if (const auto source = SourceOfMarkKey(key); source.has_value()) {
    whole = DecodeSourceMark(key, value).status();
    if (!whole.ok()) return Prefixed(SourceMarkName(*source), whole);
    ++totals_.source_marks;
  } else if (const auto n = NumberOfErasureKey(key); n.has_value()) {
    whole = DecodeErasure(key, value).status();
    if (!whole.ok()) {
      return Prefixed(absl::StrCat("record of erasure ", *n), whole);
    }
    ++totals_.erasures;
  } else if (const auto n = NumberOfSchemaKey(key); n.has_value()) {
    whole = DecodeSchema(key, value).status();
    if (!whole.ok()) {
      return Prefixed(absl::StrCat("record of schema ", *n), whole);
    }
    ++totals_.schemas;
  } else if (key != rocksdb_internal::kDigestKeyKey) {
    return absl::DataLossError(absl::StrCat("a record of no kind: ",
                                            absl::CHexEscape(key)));
  }
  return to_.Put(to_.records(), key, value);
}

absl::Status Upgrade::CopyUser(const std::string& user_id) {
  absl::StatusOr<UserHead> head = from_->GetHead(user_id);
  if (!head.ok()) return OfUser(user_id, head.status());
  const UserHead before = *head;
  // Without a head there may be snapshots of an erased user, but no event.
  absl::Status status = CopyLog(user_id, before);
  if (!status.ok()) return OfUser(user_id, status);
  if (before.incarnation != 0) {
    uint64_t& position = positions_[PartitionOf(user_id, positions_.size())];
    head->incarnation = IncarnationAt(position);
    position += head->last_sequence;
    ++totals_.users;
    const std::string key = UserKey(user_id);
    status = to_.Put(to_.heads(), key, EncodeHead(key, *head));
    if (!status.ok()) return status;
  }
  return CopySnapshots(user_id, before, head->incarnation);
}

absl::Status Upgrade::CopyLog(const std::string& user_id,
                              const UserHead& head) {
  std::string key = LogKey(user_id, 0);
  // One further than the head counts: nothing may be there.
  for (uint64_t next = head.first_sequence; next <= head.last_sequence + 1;) {
    absl::StatusOr<std::vector<LoggedEvent>> events =
        from_->ReadEvents(user_id, next, kEventsAtATime);
    if (!events.ok()) return events.status();
    for (LoggedEvent& event : *events) {
      if (event.schema == 0 && totals_.schemas > 0) event.schema = 1;
      SetSequence(key, next++);
      absl::Status status = to_.Put(to_.log(), key, EncodeEvent(key, event));
      if (!status.ok()) return status;
    }
    totals_.events += events->size();
    if (events->empty()) ++next;
  }
  return absl::OkStatus();
}

absl::Status Upgrade::CopySnapshots(const std::string& user_id,
                                    const UserHead& before,
                                    uint64_t incarnation) {
  const std::string key = UserKey(user_id);
  for (const std::string& fingerprint : fingerprints_) {
    absl::StatusOr<std::optional<Snapshot>> snapshot =
        from_->GetSnapshot(fingerprint, user_id);
    if (snapshot.ok() && !snapshot->has_value()) continue;
    if (!snapshot.ok() && !absl::IsDataLoss(snapshot.status())) {
      return snapshot.status();
    }
    if (!snapshot.ok() || before.incarnation == 0 ||
        (*snapshot)->incarnation != before.incarnation ||
        (*snapshot)->folded_sequence > before.last_sequence ||
        (*snapshot)->folded_sequence + 1 < before.first_sequence) {
      ++totals_.snapshots_dropped;
      continue;
    }
    (*snapshot)->incarnation = incarnation;
    absl::Status status = to_.Put(to_.states(fingerprint), key,
                                  EncodeSnapshot(key, fingerprint, **snapshot));
    if (!status.ok()) return status;
    ++totals_.snapshots;
  }
  return absl::OkStatus();
}

absl::Status Upgrade::WritePositions() {
  for (size_t i = 0; i < positions_.size(); ++i) {
    if (positions_[i] == 0) continue;
    const Mark mark =
        PositionMark(i, options_.partitions, positions_[i]);
    const std::string key = MarkKey(mark.name);
    absl::Status status =
        to_.Put(to_.records(), key, EncodeMark(key, mark.value));
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::Status Upgrade::OfUser(const std::string& user_id, absl::Status status) {
  const std::string hash = UserHashHex(user_id);
  return absl::Status(
      status.code(),
      absl::StrCat("user ", hash, ": ",
                   absl::StrReplaceAll(status.message(),
                                       {{QuotedUser(user_id), hash}})));
}

}  // namespace

absl::StatusOr<UpgradeTotals> UpgradeStore(const std::string& from,
                                           const std::string& to,
                                           const UpgradeOptions& options) {
  absl::Status status = ValidatePartitions(options.partitions);
  if (!status.ok()) return status;
  const auto lock = rocksdb_internal::LockForInspection(from);
  if (!lock.ok()) return lock.status();
  absl::StatusOr<NewFolder> target = NewFolder::At(to, ".upgrading");
  if (!target.ok()) return target.status();
  RocksDbOptions at_from;
  at_from.path = from;
  using rocksdb_internal::OpenMode;
  auto old = rocksdb_internal::OpenStore(at_from, OpenMode::kUpgrade);
  absl::StatusOr<UpgradeTotals> totals;
  if (!old.ok()) {
    totals = old.status();
  } else {
    auto made = NewStore::Like(*old, target->work(), options.partitions);
    if (!made.ok()) return made.status();
    totals = Upgrade(*std::move(old), *made, options).Run();
  }
  if (absl::IsDataLoss(totals.status())) {
    return absl::DataLossError(absl::StrCat(
        totals.status().message(), "; repair ", from,
        " with the qlarank that wrote it, then upgrade what it made"));
  }
  if (!totals.ok()) return totals.status();
  status = target->Publish();
  if (!status.ok()) return status;
  return totals;
}

}  // namespace qlarank
