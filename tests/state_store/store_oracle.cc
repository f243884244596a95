#include "tests/state_store/store_oracle.h"

#include <algorithm>

namespace qlarank {

bool StoreOracle::Append(const std::vector<UserAppend>& appends) {
  for (const UserAppend& append : appends) {
    const UserHead before = Head(append.user_id);
    const bool same_life = before.incarnation == 0 ||
                           before.incarnation == append.head_after.incarnation;
    if (!same_life || before.last_sequence + append.events.size() !=
                          append.head_after.last_sequence) {
      return false;
    }
  }
  for (const UserAppend& append : appends) {
    User& user = users_[append.user_id];
    user.head = append.head_after;
    user.events.insert(user.events.end(), append.events.begin(),
                       append.events.end());
  }
  return true;
}

uint64_t StoreOracle::Delete(const std::string& user_id) {
  const auto found = users_.find(user_id);
  if (found == users_.end()) return 0;
  const uint64_t removed = found->second.events.size();
  users_.erase(found);
  // Durable at once: no crash brings a snapshot back.
  for (auto& [fingerprint, users] : snapshots_) users.erase(user_id);
  return removed;
}

void StoreOracle::OpenFingerprint(const std::string& fingerprint) {
  snapshots_[fingerprint];
}

void StoreOracle::DropFingerprint(const std::string& fingerprint) {
  snapshots_.erase(fingerprint);
}

bool StoreOracle::PutSnapshot(const std::string& fingerprint,
                              const std::string& user_id,
                              const Snapshot& snapshot) {
  const auto found = snapshots_.find(fingerprint);
  if (found == snapshots_.end()) return false;
  const uint64_t incarnation = Head(user_id).incarnation;
  if (incarnation == 0 || snapshot.incarnation != incarnation) return true;
  Versions& versions = found->second[user_id];
  if (versions.empty()) versions.push_back(std::nullopt);
  const std::optional<Snapshot>& newest = versions.back();
  // One that is ahead of the log is worth nothing, and may be replaced by any.
  if (newest.has_value() &&
      newest->folded_sequence <= Head(user_id).last_sequence &&
      newest->folded_sequence > snapshot.folded_sequence) {
    return true;
  }
  versions.push_back(snapshot);
  return true;
}

void StoreOracle::Flush() {
  for (auto& [fingerprint, users] : snapshots_) {
    for (auto& [user_id, versions] : users) versions = {versions.back()};
  }
}

UserHead StoreOracle::Head(const std::string& user_id) const {
  const auto found = users_.find(user_id);
  return found == users_.end() ? UserHead() : found->second.head;
}

std::vector<LoggedEvent> StoreOracle::Events(const std::string& user_id,
                                             uint64_t from,
                                             size_t limit) const {
  const auto found = users_.find(user_id);
  std::vector<LoggedEvent> events;
  if (found == users_.end()) return events;
  for (uint64_t sequence = from; sequence <= found->second.events.size() &&
                                 events.size() < limit;
       ++sequence) {
    events.push_back(found->second.events[sequence - 1]);
  }
  return events;
}

std::map<std::string, UserHead> StoreOracle::Heads() const {
  std::map<std::string, UserHead> heads;
  for (const auto& [user_id, user] : users_) heads[user_id] = user.head;
  return heads;
}

std::vector<std::string> StoreOracle::Fingerprints() const {
  std::vector<std::string> fingerprints;
  for (const auto& [fingerprint, users] : snapshots_) {
    fingerprints.push_back(fingerprint);
  }
  return fingerprints;
}

std::optional<Snapshot> StoreOracle::SnapshotOf(
    const std::string& fingerprint, const std::string& user_id) const {
  const auto& users = snapshots_.at(fingerprint);
  const auto found = users.find(user_id);
  return found == users.end() ? std::nullopt : found->second.back();
}

bool StoreOracle::Recovers(const std::string& fingerprint,
                           const std::string& user_id,
                           const std::optional<Snapshot>& snapshot) {
  auto& users = snapshots_.at(fingerprint);
  const auto found = users.find(user_id);
  if (found == users.end()) return !snapshot.has_value();
  Versions& versions = found->second;
  const bool possible =
      std::find(versions.begin(), versions.end(), snapshot) != versions.end();
  versions = {snapshot};
  return possible;
}

}  // namespace qlarank
