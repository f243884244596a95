#include "state_store/rocksdb_salvage.h"

#include <algorithm>
#include <limits>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "state_store/keys.h"
#include "state_store/partition_hash.h"
#include "state_store/partition_position.h"
#include "state_store/record_names.h"
#include "state_store/records.h"
#include "state_store/rocksdb_user_walk.h"

namespace qlarank::rocksdb_internal {

Salvage::Salvage(const OpenedStore& from, NewStore& to,
                 const StoreProblemSink& sink)
    : from_(from), to_(to), sink_(sink), positions_(from.partitions) {}

absl::StatusOr<RepairTotals> Salvage::Run() {
  bool heads_damaged = false, log_damaged = false;
  UserWalk walk(from_, [&](absl::string_view family, absl::string_view what) {
    heads_damaged |= family == kHeadsName;
    log_damaged |= family == kLogName;
    sink_({std::string(family), "", std::string(what)});
  });
  absl::Status status = CopyRecords();
  if (status.ok()) status = CopyCatalogue();
  if (!status.ok()) return status;
  while (walk.Next(user_id_)) {
    user_key_ = UserKey(user_id_);
    ++totals_.users;
    status = CopyUser();
    if (!status.ok()) return status;
  }
  user_id_.clear();
  totals_.may_be_incomplete = heads_damaged && log_damaged;
  status = WritePositions();
  if (status.ok()) status = to_.Finish();
  if (!status.ok()) return status;
  return totals_;
}

absl::Status Salvage::CopyRecords() {
  const std::unique_ptr<rocksdb::Iterator> it(
      from_.db->NewIterator(rocksdb::ReadOptions()));
  for (it->SeekToFirst(); it->Valid(); it->Next()) {
    absl::Status status = CopyRecord(ToView(it->key()), ToView(it->value()));
    if (!status.ok()) return status;
  }
  if (!it->status().ok()) {
    Report(rocksdb::kDefaultColumnFamilyName,
           absl::StrCat("records of erasures and marks: ",
                        it->status().ToString(),
                        "; those after it are left out"));
  }
  return absl::OkStatus();
}

absl::Status Salvage::CopyRecord(absl::string_view key,
                                 absl::string_view value) {
  if (key == kFormatKey) return absl::OkStatus();
  absl::Status whole;
  std::string lost;
  if (const auto source = SourceOfMarkKey(key); source.has_value()) {
    whole = DecodeSourceMark(key, value).status();
    lost = absl::StrCat(SourceMarkName(*source), ": ", whole.message(),
                        "; left out: mark it again before anything of it is "
                        "sent again");
  } else if (const auto name = NameOfMarkKey(key); name.has_value()) {
    const auto position = ParsePositionMarkName(*name);
    if (position.has_value()) {
      NotePosition(*position, key, value);
      return absl::OkStatus();
    }
    whole = DecodeMark(key, value).status();
    lost = absl::StrCat(MarkName(*name), ": ", whole.message(), "; left out");
  }
  if (whole.ok()) return to_.Put(to_.records(), key, value);
  Report(rocksdb::kDefaultColumnFamilyName, lost);
  return absl::OkStatus();
}

absl::Status Salvage::CopyCatalogue() {
  if (from_.catalogue == nullptr) return absl::OkStatus();
  const std::unique_ptr<rocksdb::Iterator> it(from_.db->NewIterator(
      rocksdb::ReadOptions(), from_.catalogue.get()));
  absl::Status status;
  uint64_t next = 1;
  for (it->SeekToFirst(); status.ok() && it->Valid(); it->Next()) {
    const absl::string_view key = ToView(it->key());
    const auto version = VersionOfCatalogueKey(key);
    if (!version.has_value()) continue;
    for (; status.ok() && next < *version; ++next) {
      status = LoseEntry(next, "missing");
    }
    const auto entry = DecodeCatalogueEntry(key, ToView(it->value()));
    if (status.ok() && entry.ok()) {
      status = to_.Put(to_.catalogue(), key, ToView(it->value()));
    } else if (status.ok()) {
      status = LoseEntry(next, entry.status().message());
    }
    ++next;
  }
  if (it->status().ok()) return status;
  catalogue_lost_ = true;
  Report(kCatalogueName, absl::StrCat("entries from ", next, " on: ",
                                      it->status().ToString(), "; left out"));
  return status;
}

absl::Status Salvage::LoseEntry(uint64_t version, absl::string_view why) {
  catalogue_lost_ = true;
  Report(kCatalogueName,
         absl::StrCat("entry ", version, ": ", why,
                      "; left out, and so are all snapshots: upsert its item "
                      "again"));
  const std::string key = CatalogueKey(version);
  return to_.Put(to_.catalogue(), key,
                 EncodeCatalogueEntry(key, CatalogueEntry()));
}

void Salvage::NotePosition(const PartitionName& name, absl::string_view key,
                           absl::string_view value) {
  has_positions_ = true;
  if (name.partitions != positions_.size()) {
    return Report(
        rocksdb::kDefaultColumnFamilyName,
        absl::StrCat(
            MarkName(PositionMarkName(name.partition, name.partitions)),
            ": there are ", positions_.size(), " partitions; left out"));
  }
  const auto mark = DecodeMark(key, value);
  if (!mark.ok()) return;  // made anew, and that is reported
  const auto position = ParsePosition(*mark);
  if (position.ok()) positions_[name.partition].found = *position;
}

absl::Status Salvage::WritePositions() {
  if (!has_positions_) return absl::OkStatus();
  for (size_t i = 0; i < positions_.size(); ++i) {
    const Position& position = positions_[i];
    const uint64_t found = position.found.value_or(0);
    const Mark mark = PositionMark(i, positions_.size(),
                                   std::max(found, position.least));
    if (found < position.least) {
      Report(rocksdb::kDefaultColumnFamilyName,
             absl::StrCat(MarkName(mark.name), ": ",
                          position.found.has_value()
                              ? "behind its users"
                              : "damaged or missing",
                          "; made anew of its users, ", mark.value));
    } else if (found == 0) {
      continue;
    }
    const std::string key = MarkKey(mark.name);
    absl::Status status =
        to_.Put(to_.records(), key, EncodeMark(key, mark.value));
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

void Salvage::Report(absl::string_view column_family,
                     absl::string_view what) const {
  sink_({std::string(column_family),
         user_id_.empty() ? "" : UserHashHex(user_id_), std::string(what)});
}

absl::Status Salvage::CopyUser() {
  rocksdb::PinnableSlice value;
  const rocksdb::Status read = from_.db->Get(
      rocksdb::ReadOptions(), from_.heads.get(), user_key_, &value);
  absl::StatusOr<UserHead> head =
      read.ok() ? DecodeHead(user_key_, ToView(value))
                : absl::StatusOr<UserHead>(absl::DataLossError(
                      read.IsNotFound() ? "missing" : read.ToString()));
  Log log;
  absl::Status status = CopyLog(head.ok() ? &*head : nullptr, log);
  if (!status.ok()) return status;
  if (head.ok()) {
    status = to_.Put(to_.heads(), user_key_, ToView(value));
  } else if (read.IsNotFound() && log.whole && log.head.last_sequence == 0) {
    head = UserHead();  // no user: only snapshots are left of them
  } else if (log.whole && log.head.last_sequence > 0) {
    Report(kHeadsName, absl::StrCat(head.status().message(), "; made anew of ",
                                    log.head.last_sequence, " events"));
    ++totals_.heads_rebuilt;
    head = HeadOf(log);
    status = to_.Put(to_.heads(), user_key_, EncodeHead(user_key_, *head));
  } else {
    Report(kHeadsName, absl::StrCat(head.status().message(),
                                    "; cannot be repaired"));
    log.whole = false;
    // Damaged it stays: without a head the user would begin anew.
    status = to_.Put(to_.heads(), user_key_, read.ok() ? ToView(value) : "");
  }
  if (!log.whole) ++totals_.users_unrepaired;
  if (!status.ok() || !head.ok()) return status;
  NoteUser(*head);
  return CopySnapshots(*head);
}

void Salvage::NoteUser(const UserHead& head) {
  if (head.incarnation == 0) return;
  Position& position = positions_[PartitionOf(user_id_, positions_.size())];
  const uint64_t before = head.incarnation - 1;
  if (head.last_sequence > std::numeric_limits<uint64_t>::max() - before) {
    return;  // an incarnation that is no position
  }
  position.least = std::max(position.least, before + head.last_sequence);
}

absl::Status Salvage::CopyLog(const UserHead* head, Log& log) {
  const std::string end =
      AfterLogKey(user_id_, std::numeric_limits<uint64_t>::max());
  const rocksdb::Slice end_slice = end;
  rocksdb::ReadOptions options;
  options.iterate_upper_bound = &end_slice;
  options.prefix_same_as_start = true;
  options.fill_cache = false;
  const std::unique_ptr<rocksdb::Iterator> it(
      from_.db->NewIterator(options, from_.log.get()));
  // A log whose head is lost may have been trimmed: then it is not whole.
  uint64_t expected = head != nullptr ? head->first_sequence : 1;
  std::string cause = "missing";
  uint64_t from = 1;  // from where the log is looked at: a step at a time
                      // through what cannot be read
  while (true) {
    for (it->Seek(LogKey(user_id_, from)); it->Valid(); it->Next()) {
      const absl::string_view key = ToView(it->key());
      const std::optional<uint64_t> sequence = SequenceOfLogKey(key, user_key_);
      if (!sequence.has_value()) continue;  // the walk reports it
      if (*sequence > expected) NoteLost(expected, *sequence - 1, cause, log);
      cause = "missing";
      NoteEvent(*sequence, key, ToView(it->value()), log);
      absl::Status status = to_.Put(to_.log(), key, ToView(it->value()));
      if (!status.ok()) return status;
      ++totals_.events;
      expected = *sequence + 1;
    }
    if (it->status().ok()) break;
    cause = it->status().ToString();
    from = std::max(from, expected - 1) + 1;
    // Without a head nothing says where to stop.
    if (head == nullptr) {
      NoteLost(expected, std::numeric_limits<uint64_t>::max(), cause, log);
      break;
    }
    if (from > head->last_sequence) break;
  }
  if (head == nullptr) return absl::OkStatus();
  if (expected <= head->last_sequence) {
    NoteLost(expected, head->last_sequence, cause, log);
  } else if (expected > head->last_sequence + 1) {
    Report(kLogName, absl::StrCat("events ", head->last_sequence + 1, " to ",
                                  expected - 1,
                                  ": not counted by the head; cannot be "
                                  "repaired"));
    log.whole = false;
  }
  return absl::OkStatus();
}

void Salvage::NoteLost(uint64_t first, uint64_t last, absl::string_view cause,
                       Log& log) {
  log.whole = false;
  const std::string which =
      last == std::numeric_limits<uint64_t>::max()
          ? absl::StrCat("events from ", first, " on")
          : absl::StrCat("events ", first, " to ", last);
  Report(kLogName, absl::StrCat(which, ": ", cause, "; cannot be repaired"));
}

void Salvage::NoteEvent(uint64_t sequence, absl::string_view key,
                        absl::string_view value, Log& log) {
  const absl::StatusOr<LoggedEvent> event = DecodeEvent(key, value);
  if (!event.ok()) {
    log.whole = false;
    Report(kLogName, absl::StrCat("event ", sequence, ": ",
                                  event.status().message(),
                                  "; cannot be repaired"));
    return;
  }
  UserHead& head = log.head;
  uint64_t& watermark = head.watermarks[event->source];
  watermark = std::max(watermark, event->source_sequence);
  head.last_event_time_us =
      head.last_sequence == 0
          ? event->time_us
          : std::max(head.last_event_time_us, event->time_us);
  head.last_sequence = sequence;
}

UserHead Salvage::HeadOf(const Log& log) {
  UserHead head = log.head;
  head.incarnation = IncarnationOfSnapshots(head.last_sequence);
  if (head.incarnation == 0) {
    // As of one who came after all others.
    const Position& position =
        positions_[PartitionOf(user_id_, positions_.size())];
    head.incarnation = IncarnationAt(
        std::max(position.found.value_or(0), position.least));
  }
  return head;
}

uint64_t Salvage::IncarnationOfSnapshots(uint64_t last_sequence) const {
  for (const auto& [fingerprint, states] : from_.states) {
    std::string value;
    if (!from_.db->Get(rocksdb::ReadOptions(), states.get(), user_key_, &value)
             .ok()) {
      continue;
    }
    const auto snapshot = DecodeSnapshot(user_key_, fingerprint, value);
    if (snapshot.ok() && snapshot->folded_sequence <= last_sequence) {
      return snapshot->incarnation;
    }
  }
  return 0;
}

absl::Status Salvage::CopySnapshots(const UserHead& head) {
  for (const auto& [fingerprint, states] : from_.states) {
    rocksdb::PinnableSlice value;
    const rocksdb::Status read = from_.db->Get(rocksdb::ReadOptions(),
                                               states.get(), user_key_, &value);
    if (read.IsNotFound()) continue;
    std::string wrong;
    if (!read.ok()) {
      wrong = read.ToString();
    } else if (catalogue_lost_) {
      wrong = "of a catalogue that is not whole";
    } else {
      const auto snapshot =
          DecodeSnapshot(user_key_, fingerprint, ToView(value));
      if (!snapshot.ok()) {
        wrong = std::string(snapshot.status().message());
      } else if (snapshot->incarnation != head.incarnation) {
        wrong = "of an erased user";
      } else if (snapshot->folded_sequence > head.last_sequence) {
        wrong = absl::StrCat("of ", snapshot->folded_sequence,
                             " events, the log has ", head.last_sequence);
      } else if (snapshot->folded_sequence + 1 < head.first_sequence) {
        wrong = absl::StrCat("of ", snapshot->folded_sequence,
                             " events, the log begins at ",
                             head.first_sequence);
      }
    }
    if (wrong.empty()) {
      absl::Status status = to_.Put(to_.states(fingerprint), user_key_,
                                ToView(value));
      if (!status.ok()) return status;
      ++totals_.snapshots;
    } else {
      Report(absl::StrCat(kStatesPrefix, fingerprint),
             absl::StrCat("snapshot ", wrong, "; left out"));
      ++totals_.snapshots_dropped;
    }
  }
  return absl::OkStatus();
}

}  // namespace qlarank::rocksdb_internal
