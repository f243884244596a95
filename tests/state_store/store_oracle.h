// What a StateStore must answer, by the plainest means: maps, no files, no code
// of the store. Not thread-safe.
#ifndef QLARANK_TESTS_STATE_STORE_STORE_ORACLE_H_
#define QLARANK_TESTS_STATE_STORE_STORE_ORACLE_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "state_store/state_store.h"

namespace qlarank {

class StoreOracle {
 public:
  // Whether the store takes these appends; it then has them, all of them.
  bool Append(const std::vector<UserAppend>& appends);
  // How many events are gone.
  uint64_t Delete(const std::string& user_id);

  void OpenFingerprint(const std::string& fingerprint);
  void DropFingerprint(const std::string& fingerprint);
  // Whether the store takes it: only of a fingerprint that is open.
  bool PutSnapshot(const std::string& fingerprint, const std::string& user_id,
                   const Snapshot& snapshot);

  // All snapshots are durable from now on.
  void Flush();

  UserHead Head(const std::string& user_id) const;
  std::vector<LoggedEvent> Events(const std::string& user_id, uint64_t from,
                                  size_t limit) const;
  std::map<std::string, UserHead> Heads() const;
  std::vector<std::string> Fingerprints() const;  // sorted
  std::optional<Snapshot> SnapshotOf(const std::string& fingerprint,
                                     const std::string& user_id) const;
  // Whether a crash may have left this one: that which was durable, or any
  // later one. It is the user's from now on.
  bool Recovers(const std::string& fingerprint, const std::string& user_id,
                const std::optional<Snapshot>& snapshot);

 private:
  struct User {
    UserHead head;
    std::vector<LoggedEvent> events;
  };
  // A user's snapshots under one fingerprint: the durable one first, the
  // present one last.
  using Versions = std::vector<std::optional<Snapshot>>;

  std::map<std::string, User> users_;
  std::map<std::string, std::map<std::string, Versions>> snapshots_;
};

}  // namespace qlarank

#endif  // QLARANK_TESTS_STATE_STORE_STORE_ORACLE_H_
