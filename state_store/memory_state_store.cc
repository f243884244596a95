#include "state_store/memory_state_store.h"

#include <algorithm>
#include <utility>

#include "absl/strings/escaping.h"
#include "state_store/validation.h"

namespace qlarank {

absl::Status MemoryStateStore::AppendEvents(
    absl::Span<const UserAppend> appends, absl::Span<const Mark> marks) {
  absl::Status status = ValidateAppends(appends);
  status.Update(ValidateMarks(marks));
  if (!status.ok()) return status;
  absl::MutexLock lock(&mutex_);
  for (const UserAppend& append :
       appends) {  // all are checked before any is done
    const auto it = users_.find(append.user_id);
    status = ValidateContinues(
        it == users_.end() ? UserHead() : it->second.head, append);
    if (!status.ok()) return status;
  }
  for (const UserAppend& append : appends) {
    User& user = users_[append.user_id];
    user.head = append.head_after;
    user.events.insert(user.events.end(), append.events.begin(),
                       append.events.end());
  }
  for (const Mark& mark : marks) marks_[mark.name] = mark.value;
  return absl::OkStatus();
}

absl::StatusOr<std::optional<std::string>> MemoryStateStore::GetMark(
    absl::string_view name) const {
  absl::ReaderMutexLock lock(&mutex_);
  const auto mark = marks_.find(name);
  if (mark == marks_.end()) return std::optional<std::string>();
  return std::optional<std::string>(mark->second);
}

absl::StatusOr<std::vector<Mark>> MemoryStateStore::ListMarks() const {
  absl::ReaderMutexLock lock(&mutex_);
  std::vector<Mark> marks;
  for (const auto& [name, value] : marks_) marks.push_back({name, value});
  return marks;
}

absl::StatusOr<UserHead> MemoryStateStore::GetHead(
    absl::string_view user_id) const {
  absl::Status status = ValidateUserId(user_id);
  if (!status.ok()) return status;
  absl::ReaderMutexLock lock(&mutex_);
  const auto it = users_.find(user_id);
  return it == users_.end() ? UserHead() : it->second.head;
}

absl::StatusOr<std::vector<LoggedEvent>> MemoryStateStore::ReadEvents(
    absl::string_view user_id, uint64_t from_sequence, size_t limit) const {
  absl::Status status = ValidateRead(user_id, from_sequence);
  if (!status.ok()) return status;
  absl::ReaderMutexLock lock(&mutex_);
  const auto it = users_.find(user_id);
  if (it == users_.end()) return std::vector<LoggedEvent>();
  return EventsOf(user_id, it->second, from_sequence, limit);
}

absl::StatusOr<std::vector<LoggedEvent>> MemoryStateStore::EventsOf(
    absl::string_view user_id, const User& user, uint64_t from_sequence,
    size_t limit) {
  if (from_sequence > user.head.last_sequence) {
    return std::vector<LoggedEvent>();
  }
  absl::Status status = ValidateNotTrimmed(user_id, user.head, from_sequence);
  if (!status.ok()) return status;
  const auto first =
      user.events.begin() + (from_sequence - user.head.first_sequence);
  const size_t count = std::min<size_t>(limit, user.events.end() - first);
  return std::vector<LoggedEvent>(first, first + count);
}

absl::StatusOr<PublishedState> MemoryStateStore::ReadPublished(
    absl::string_view fingerprint, absl::string_view user_id,
    const HeldState* held, size_t limit) const {
  absl::Status status = ValidateUserId(user_id);
  if (!status.ok()) return status;
  absl::ReaderMutexLock lock(&mutex_);
  const auto by_user = snapshots_.find(fingerprint);
  if (by_user == snapshots_.end()) return FingerprintNotOpenError(fingerprint);
  PublishedState published;
  const auto user = users_.find(user_id);
  if (user == users_.end()) return published;
  published.head = user->second.head;
  if (held != nullptr && IsContinued(published.head, *held)) {
    published.after = held->folded_sequence;
  } else {
    const auto snapshot = by_user->second.find(user_id);
    if (snapshot != by_user->second.end()) {
      published.snapshot = std::optional<Snapshot>(snapshot->second);
    }
    published.after = PointOf(published.head, published.snapshot);
  }
  published.events =
      EventsOf(user_id, user->second, published.after + 1, limit);
  return published;
}

absl::StatusOr<uint32_t> MemoryStateStore::PutSchema(
    const std::vector<std::string>& event_features) {
  absl::MutexLock lock(&mutex_);
  const auto found =
      std::find(schemas_.begin(), schemas_.end(), event_features);
  const uint32_t number = found - schemas_.begin() + 1;
  if (found == schemas_.end()) schemas_.push_back(event_features);
  return number;
}

absl::StatusOr<std::vector<std::vector<std::string>>>
MemoryStateStore::ListSchemas() const {
  absl::MutexLock lock(&mutex_);
  return schemas_;
}

absl::Status MemoryStateStore::ForEachUser(
    absl::FunctionRef<bool(absl::string_view user_id, const UserHead& head)>
        visit) const {
  std::vector<std::pair<std::string, UserHead>> users;
  {
    absl::ReaderMutexLock lock(&mutex_);
    users.reserve(users_.size());
    for (const auto& [user_id, user] : users_) {
      users.emplace_back(user_id, user.head);
    }
  }
  for (const auto& [user_id, head] : users) {
    if (!visit(user_id, head)) break;
  }
  return absl::OkStatus();
}

absl::Status MemoryStateStore::OpenFingerprint(absl::string_view fingerprint) {
  absl::Status status = ValidateFingerprint(fingerprint);
  if (!status.ok()) return status;
  absl::MutexLock lock(&mutex_);
  snapshots_.try_emplace(std::string(fingerprint));
  return absl::OkStatus();
}

absl::Status MemoryStateStore::DropFingerprint(absl::string_view fingerprint) {
  absl::MutexLock lock(&mutex_);
  const auto it = snapshots_.find(fingerprint);
  if (it != snapshots_.end()) snapshots_.erase(it);
  return absl::OkStatus();
}

absl::StatusOr<std::vector<std::string>> MemoryStateStore::ListFingerprints()
    const {
  absl::ReaderMutexLock lock(&mutex_);
  std::vector<std::string> fingerprints;
  for (const auto& [fingerprint, unused] : snapshots_) {
    fingerprints.push_back(fingerprint);
  }
  return fingerprints;
}

std::vector<StatesSize> MemoryStateStore::MeasureStates() const {
  absl::ReaderMutexLock lock(&mutex_);
  std::vector<StatesSize> sizes;
  for (const auto& [fingerprint, by_user] : snapshots_) {
    StatesSize& size = sizes.emplace_back();
    size.fingerprint = fingerprint;
    size.users = by_user.size();
    for (const auto& [user, snapshot] : by_user) {
      size.bytes += user.size() + sizeof(snapshot) + snapshot.state.size();
    }
  }
  return sizes;
}

absl::StatusOr<size_t> MemoryStateStore::PutSnapshots(
    absl::string_view fingerprint, absl::Span<const UserSnapshot> snapshots) {
  absl::MutexLock lock(&mutex_);
  const auto it = snapshots_.find(fingerprint);
  absl::Status status;
  size_t refused = 0;
  for (const auto& [user_id, snapshot] : snapshots) {
    status.Update(ValidateUserId(user_id));
    const auto user = users_.find(user_id);
    if (user == users_.end() || it == snapshots_.end() ||
        user->second.head.incarnation != snapshot.incarnation) {
      continue;
    }
    std::optional<Snapshot> stored;
    if (const auto old = it->second.find(user_id); old != it->second.end()) {
      stored = old->second;
    }
    if (GoesBack(user->second.head, stored, snapshot)) {
      ++refused;
    } else {
      it->second[user_id] = snapshot;
    }
  }
  snapshots_refused_ += refused;
  if (!status.ok()) return status;
  if (it == snapshots_.end()) return FingerprintNotOpenError(fingerprint);
  return refused;
}

absl::StatusOr<std::optional<Snapshot>> MemoryStateStore::GetSnapshot(
    absl::string_view fingerprint, absl::string_view user_id) const {
  absl::Status status = ValidateUserId(user_id);
  if (!status.ok()) return status;
  absl::ReaderMutexLock lock(&mutex_);
  const auto it = snapshots_.find(fingerprint);
  if (it == snapshots_.end()) return FingerprintNotOpenError(fingerprint);
  const auto snapshot = it->second.find(user_id);
  if (snapshot == it->second.end()) return std::optional<Snapshot>();
  return std::optional<Snapshot>(snapshot->second);
}

absl::Status MemoryStateStore::AppendEntries(
    absl::Span<const CatalogueEntry> entries) {
  absl::MutexLock lock(&mutex_);
  absl::Status status = ValidateEntries(catalogue_.size(), entries);
  if (!status.ok()) return status;
  catalogue_.insert(catalogue_.end(), entries.begin(), entries.end());
  return absl::OkStatus();
}

absl::StatusOr<std::vector<CatalogueEntry>> MemoryStateStore::ReadEntries(
    uint64_t from_version, size_t limit) const {
  absl::ReaderMutexLock lock(&mutex_);
  if (from_version > catalogue_.size()) return std::vector<CatalogueEntry>();
  const auto first = catalogue_.begin() + (from_version - 1);
  const size_t count = std::min<size_t>(limit, catalogue_.end() - first);
  return std::vector<CatalogueEntry>(first, first + count);
}

absl::StatusOr<uint64_t> MemoryStateStore::NewestCatalogueVersion() const {
  absl::ReaderMutexLock lock(&mutex_);
  return catalogue_.size();
}

absl::Status MemoryStateStore::PutSourceMark(absl::string_view source,
                                             const SourceMark& mark) {
  absl::MutexLock lock(&mutex_);
  source_marks_[std::string(source)] = mark;
  return absl::OkStatus();
}

absl::StatusOr<std::optional<SourceMark>> MemoryStateStore::GetSourceMark(
    absl::string_view source) const {
  absl::ReaderMutexLock lock(&mutex_);
  const auto mark = source_marks_.find(source);
  if (mark == source_marks_.end()) return std::optional<SourceMark>();
  return std::optional<SourceMark>(mark->second);
}

absl::Status MemoryStateStore::ForEachSourceMark(
    absl::FunctionRef<void(absl::string_view source, const SourceMark& mark)>
        visit) const {
  absl::ReaderMutexLock lock(&mutex_);
  for (const auto& [source, mark] : source_marks_) visit(source, mark);
  return absl::OkStatus();
}

absl::StatusOr<uint64_t> MemoryStateStore::DeleteUser(
    absl::string_view user_id, const ErasureNote& note) {
  absl::Status status = ValidateUserId(user_id);
  if (!status.ok()) return status;
  absl::MutexLock lock(&mutex_);
  const auto it = users_.find(user_id);
  if (it == users_.end()) return 0;
  const uint64_t removed = it->second.events.size();
  users_.erase(it);
  for (auto& [fingerprint, by_user] : snapshots_) by_user.erase(user_id);
  erasures_.push_back({DigestOfUser(user_id), note, removed});
  return removed;
}

absl::StatusOr<std::vector<Erasure>> MemoryStateStore::ListErasures(
    absl::string_view user_id, size_t limit) const {
  absl::ReaderMutexLock lock(&mutex_);
  const std::string wanted = user_id.empty() ? "" : DigestOfUser(user_id);
  std::vector<Erasure> found;
  for (auto it = erasures_.rbegin();
       it != erasures_.rend() && found.size() < limit; ++it) {
    if (wanted.empty() || it->user_digest == wanted) found.push_back(*it);
  }
  return found;
}

std::string MemoryStateStore::DigestOfUser(absl::string_view user_id) const {
  return absl::BytesToHexString(UserDigest(digest_key_, user_id));
}

absl::StatusOr<uint64_t> MemoryStateStore::PurgeErased(PurgePause /*pause*/) {
  absl::MutexLock lock(&mutex_);
  uint64_t purged = 0;
  for (Erasure& erasure : erasures_) {
    if (!std::exchange(erasure.purged, true)) ++purged;
  }
  return purged;
}

absl::Status MemoryStateStore::TrimLog(
    absl::string_view user_id, uint64_t first_kept,
    absl::Span<const std::string> fingerprints) {
  absl::Status status = ValidateUserId(user_id);
  if (!status.ok()) return status;
  absl::MutexLock lock(&mutex_);
  const auto it = users_.find(user_id);
  if (it == users_.end()) return absl::OkStatus();
  UserHead& head = it->second.head;
  status = ValidateTrim(user_id, head, first_kept, fingerprints);
  for (const std::string& fingerprint : fingerprints) {
    if (!status.ok()) return status;
    const auto by_user = snapshots_.find(fingerprint);
    if (by_user == snapshots_.end()) {
      return FingerprintNotOpenError(fingerprint);
    }
    const auto snapshot = by_user->second.find(user_id);
    status = ValidateStandsFor(
        fingerprint, user_id, head,
        snapshot == by_user->second.end() ? std::optional<Snapshot>()
                                          : snapshot->second,
        first_kept);
  }
  if (!status.ok() || first_kept <= head.first_sequence) return status;
  std::vector<LoggedEvent>& events = it->second.events;
  events.erase(events.begin(),
               events.begin() + (first_kept - head.first_sequence));
  head.first_sequence = first_kept;
  // Of models that are served no more: of no use ever after.
  for (auto& [fingerprint, by_user] : snapshots_) {
    const auto snapshot = by_user.find(user_id);
    if (snapshot != by_user.end() &&
        snapshot->second.folded_sequence + 1 < first_kept) {
      by_user.erase(snapshot);
    }
  }
  return absl::OkStatus();
}

absl::Status MemoryStateStore::Flush() { return absl::OkStatus(); }

std::map<std::string, double> MemoryStateStore::Statistics() const {
  absl::ReaderMutexLock lock(&mutex_);
  double snapshots = 0;
  for (const auto& [fingerprint, by_user] : snapshots_) {
    snapshots += by_user.size();
  }
  return {{"estimated_heads", static_cast<double>(users_.size())},
          {"estimated_snapshots", snapshots},
          {"partitions", static_cast<double>(num_partitions_)},
          {"snapshots_refused_total",
           static_cast<double>(snapshots_refused_)}};
}

std::unique_ptr<StateStore> NewMemoryStateStore(uint32_t partitions) {
  return std::make_unique<MemoryStateStore>(partitions);
}

}  // namespace qlarank
