// The event log and the heads: what RocksDbStateStore appends and reads back.

#include <algorithm>
#include <limits>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "rocksdb/db.h"
#include "rocksdb/perf_level.h"
#include "rocksdb/write_batch.h"
#include "state_store/keys.h"
#include "state_store/record_names.h"
#include "state_store/records.h"
#include "state_store/rocksdb_state_store_impl.h"
#include "state_store/validation.h"

namespace qlarank::rocksdb_internal {
namespace {

struct KeyedAppend {
  uint64_t hash;  // of the user: what the key begins with
  std::string user_key;
  const UserAppend* append;
};

// In the order of the keys: what goes into a memtable side by side is found side
// by side.
std::vector<KeyedAppend> SortedByKey(absl::Span<const UserAppend> appends) {
  std::vector<KeyedAppend> sorted;
  sorted.reserve(appends.size());
  for (const UserAppend& append : appends) {
    std::string key = UserKey(append.user_id);
    const uint64_t hash = HashOfUserKey(key);
    sorted.push_back({hash, std::move(key), &append});
  }
  std::sort(sorted.begin(), sorted.end(),
            [](const KeyedAppend& a, const KeyedAppend& b) {
              return a.hash != b.hash ? a.hash < b.hash
                                      : a.user_key < b.user_key;
            });
  return sorted;
}

// About what a batch takes: an event and, at worst, a head for each.
size_t BatchBytes(absl::Span<const UserAppend> appends) {
  constexpr size_t kEventBytes = 256;
  size_t events = 0;
  for (const UserAppend& append : appends) events += append.events.size();
  return kEventBytes * events;
}

// Roughly, what a head takes in memory.
size_t HeadBytes(const UserHead& head) {
  constexpr size_t kWatermarkBytes = 96;  // a node of the map
  size_t bytes = sizeof(head);
  for (const auto& [source, unused] : head.watermarks) {
    bytes += kWatermarkBytes + source.capacity();
  }
  return bytes;
}

}  // namespace

absl::Status RocksDbStateStore::AppendEvents(
    absl::Span<const UserAppend> appends, absl::Span<const Mark> marks) {
  absl::Status status = ValidateAppends(appends);
  status.Update(ValidateMarks(marks));
  if (!status.ok()) return status;
  rocksdb::WriteBatch batch(BatchBytes(appends));
  RecordEncoder encode;
  std::string log_key;
  for (const KeyedAppend& sorted : SortedByKey(appends)) {
    const std::string& user_key = sorted.user_key;
    const UserAppend& append = *sorted.append;
    std::shared_ptr<const UserHead> head = append.head_before;
    if (head == nullptr) {
      auto found = GetHeadToExtend(append.user_id);
      if (!found.ok()) return found.status();
      head = *std::move(found);
    }
    status = ValidateContinues(*head, append);
    if (!status.ok()) return status;

    uint64_t sequence = append.head_after.last_sequence - append.events.size();
    log_key = user_key;
    AppendSequence(log_key, sequence);
    for (const LoggedEvent& event : append.events) {
      SetSequence(log_key, ++sequence);
      batch.Put(log_.get(), log_key, ToSlice(encode.Event(log_key, event)));
    }
    batch.Put(heads_.get(), user_key,
              ToSlice(encode.Head(user_key, append.head_after)));
  }
  for (const Mark& mark : marks) {
    const std::string key = MarkKey(mark.name);
    batch.Put(key, EncodeMark(key, mark.value));
  }
  if (batch.Count() == 0) return absl::OkStatus();
  // Else the thread counts every comparison of keys, which nobody reads.
  rocksdb::SetPerfLevel(rocksdb::PerfLevel::kDisable);
  status = Write(synced_, batch, "appending events");
  for (const UserAppend& append : appends) {
    if (status.ok()) {
      const UserHead& head = append.head_after;
      head_cache_.Insert(append.user_id, std::make_shared<UserHead>(head),
                         HeadBytes(head));
    } else {  // what is on the disk decides
      head_cache_.Erase(append.user_id);
    }
  }
  return status;
}

absl::StatusOr<std::shared_ptr<const UserHead>>
RocksDbStateStore::GetHeadToExtend(absl::string_view user_id) const {
  if (auto cached = head_cache_.Lookup(user_id); cached != nullptr) {
    return cached;
  }
  absl::StatusOr<UserHead> head = ReadHead(user_id);
  if (!head.ok()) return head.status();
  return std::make_shared<const UserHead>(*std::move(head));
}

absl::StatusOr<UserHead> RocksDbStateStore::ReadHead(
    absl::string_view user_id, const rocksdb::ReadOptions& options) const {
  absl::Status status = ValidateUserId(user_id);
  if (!status.ok()) return status;
  const std::string key = UserKey(user_id);
  rocksdb::PinnableSlice value;
  const rocksdb::Status read =
      db_->Get(options, heads_.get(), key, &value);
  if (read.IsNotFound()) return UserHead();
  if (!read.ok()) return ToAbslStatus(read, HeadName(user_id));
  absl::StatusOr<UserHead> head = DecodeHead(key, ToView(value));
  if (!head.ok()) return Prefixed(HeadName(user_id), head.status());
  return head;
}

absl::StatusOr<std::vector<LoggedEvent>> RocksDbStateStore::ScanLog(
    absl::string_view user_id, uint64_t from_sequence, size_t limit,
    rocksdb::ReadOptions read_options) const {
  constexpr uint64_t kMaxSequence = std::numeric_limits<uint64_t>::max();
  const uint64_t last_sequence = limit - 1 > kMaxSequence - from_sequence
                                     ? kMaxSequence
                                     : from_sequence + (limit - 1);
  const std::string user_key = UserKey(user_id);
  const std::string upper_bound = AfterLogKey(user_id, last_sequence);
  const rocksdb::Slice upper_bound_slice = upper_bound;
  read_options.iterate_upper_bound = &upper_bound_slice;
  read_options.prefix_same_as_start = true;
  const std::unique_ptr<rocksdb::Iterator> it(
      db_->NewIterator(read_options, log_.get()));

  std::vector<LoggedEvent> events;
  uint64_t expected = from_sequence;
  for (it->Seek(LogKey(user_id, from_sequence)); it->Valid(); it->Next()) {
    const absl::string_view key = ToView(it->key());
    if (SequenceOfLogKey(key, user_key) != expected) {
      return MissingEventError(user_id, expected);
    }
    absl::StatusOr<LoggedEvent> event = DecodeEvent(key, ToView(it->value()));
    if (!event.ok())
      return Prefixed(EventName(user_id, expected), event.status());
    events.push_back(*std::move(event));
    ++expected;
  }
  if (!it->status().ok()) {
    return ToAbslStatus(it->status(), EventName(user_id, expected));
  }
  return events;
}

absl::StatusOr<std::vector<LoggedEvent>> RocksDbStateStore::ReadEvents(
    absl::string_view user_id, uint64_t from_sequence, size_t limit) const {
  absl::Status status = ValidateRead(user_id, from_sequence);
  if (!status.ok()) return status;
  if (limit == 0) return std::vector<LoggedEvent>();
  absl::StatusOr<std::vector<LoggedEvent>> events =
      ReadCheckedEvents(user_id, from_sequence, limit);
  if (!absl::IsDataLoss(events.status())) return events;
  // Damage, or an erasure between the looks at the head and at the log: look
  // again while there can be none. (Not in a RocksDB snapshot: the end of each
  // makes it compact files that it would have left alone, damaged ones too.)
  absl::ReaderMutexLock lock(&SnapshotLock(user_id));
  return ReadCheckedEvents(user_id, from_sequence, limit);
}

absl::StatusOr<std::vector<LoggedEvent>> RocksDbStateStore::ReadCheckedEvents(
    absl::string_view user_id, uint64_t from_sequence, size_t limit) const {
  // How many events there are to read, by a head.
  const auto due =
      [&](const absl::StatusOr<UserHead>& head) -> absl::StatusOr<uint64_t> {
    if (!head.ok()) return head.status();
    if (head->last_sequence < from_sequence) return 0;
    absl::Status kept = ValidateNotTrimmed(user_id, *head, from_sequence);
    if (!kept.ok()) return kept;
    return std::min<uint64_t>(limit, head->last_sequence - from_sequence + 1);
  };
  // The log only grows, so it has at least what was due before the scan and at
  // most what is due after it. A second look at the head is rarely needed.
  const absl::StatusOr<uint64_t> at_least = due(GetHead(user_id));
  if (!at_least.ok()) return at_least.status();
  absl::StatusOr<std::vector<LoggedEvent>> events =
      ScanLog(user_id, from_sequence, limit);
  if (!events.ok()) return events.status();
  if (events->size() < *at_least) {
    return MissingEventError(user_id, from_sequence + events->size());
  }
  if (events->size() == *at_least) return events;
  const absl::StatusOr<uint64_t> at_most = due(GetHead(user_id));
  if (!at_most.ok()) return at_most.status();
  if (events->size() > *at_most) {
    return absl::DataLossError(
        absl::StrCat(EventName(user_id, from_sequence + *at_most),
                     ": found in the log, but not counted by the head"));
  }
  return events;
}

absl::StatusOr<uint64_t> RocksDbStateStore::CountLog(
    absl::string_view user_id) const {
  const std::string upper_bound =
      AfterLogKey(user_id, std::numeric_limits<uint64_t>::max());
  const rocksdb::Slice upper_bound_slice = upper_bound;
  rocksdb::ReadOptions read_options;
  read_options.iterate_upper_bound = &upper_bound_slice;
  read_options.prefix_same_as_start = true;
  const std::unique_ptr<rocksdb::Iterator> it(
      db_->NewIterator(read_options, log_.get()));
  uint64_t count = 0;
  for (it->Seek(LogKey(user_id, 0)); it->Valid(); it->Next()) ++count;
  if (!it->status().ok()) {
    return ToAbslStatus(it->status(),
                        absl::StrCat("log of user ", QuotedUser(user_id)));
  }
  return count;
}

absl::StatusOr<uint32_t> RocksDbStateStore::PutSchema(
    const std::vector<std::string>& event_features) {
  absl::MutexLock lock(&schemas_mutex_);
  const auto schemas = ListSchemas();
  if (!schemas.ok()) return schemas.status();
  const auto found =
      std::find(schemas->begin(), schemas->end(), event_features);
  const uint32_t number = found - schemas->begin() + 1;
  if (found != schemas->end()) return number;
  const std::string key = SchemaKey(number);
  rocksdb::WriteOptions synced;  // it is what every event is read by
  synced.sync = true;
  rocksdb::WriteBatch batch;
  batch.Put(key, EncodeSchema(key, event_features));
  absl::Status written = Write(synced, batch, "recording a schema");
  if (!written.ok()) return written;
  return number;
}

absl::StatusOr<std::vector<std::vector<std::string>>>
RocksDbStateStore::ListSchemas() const {
  std::vector<std::vector<std::string>> schemas;
  while (true) {
    const std::string key = SchemaKey(schemas.size() + 1);
    std::string value;
    const rocksdb::Status read =
        db_->Get(rocksdb::ReadOptions(), key, &value);
    if (read.IsNotFound()) return schemas;
    const std::string name =
        absl::StrCat("record of schema ", schemas.size() + 1);
    if (!read.ok()) return ToAbslStatus(read, name);
    auto schema = DecodeSchema(key, value);
    if (!schema.ok()) return Prefixed(name, schema.status());
    schemas.push_back(*std::move(schema));
  }
}

absl::Status RocksDbStateStore::ForEachUser(
    absl::FunctionRef<bool(absl::string_view user_id, const UserHead& head)>
        visit) const {
  rocksdb::ReadOptions read_options;
  read_options.fill_cache = false;  // a scan must not evict what is in use
  const std::unique_ptr<rocksdb::Iterator> it(
      db_->NewIterator(read_options, heads_.get()));
  absl::Status first_damage;
  uint64_t damaged = 0;
  for (it->SeekToFirst(); it->Valid(); it->Next()) {
    const absl::string_view key = ToView(it->key());
    const std::optional<absl::string_view> user_id = UserOfUserKey(key);
    absl::StatusOr<UserHead> head = DecodeHead(key, ToView(it->value()));
    if (user_id.has_value() && head.ok()) {
      if (!visit(*user_id, *head)) break;
      continue;
    }
    if (++damaged > 1) continue;
    first_damage = Prefixed(
        HeadName(user_id.value_or(key)),
        head.ok() ? absl::DataLossError("its key is damaged") : head.status());
  }
  if (!it->status().ok()) return ToAbslStatus(it->status(), "reading heads");
  if (damaged > 0) {
    return Prefixed(absl::StrCat(damaged, " damaged, the first"), first_damage);
  }
  return absl::OkStatus();
}

}  // namespace qlarank::rocksdb_internal
