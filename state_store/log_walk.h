// A walk over the event logs of all users, each as far as it went at one
// moment: for who takes events out of the store.
//
//   auto walk = store.WalkLogs(/*from_user=*/"");
//   while (true) {
//     auto user = (*walk)->NextUser();
//     if (!user.ok() || !user->has_value()) break;
//     ... (*walk)->Read((*user)->head->first_sequence, 1000, events) ...
//   }
//
// Users come in the order of their keys (keys.h), which is the same in every
// store. What is appended after the beginning is not seen; who is erased before
// their turn is left out, as are events that are trimmed before it.
//
// A walk reads beside what the store is used for: it leaves its caches as they
// are, and holds no lock between calls, only memtables and files of its
// beginning that would be gone by now. Not thread-safe; must not outlive its
// store.
#ifndef QLARANK_STATE_STORE_LOG_WALK_H_
#define QLARANK_STATE_STORE_LOG_WALK_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "state_store/event_log.h"

namespace qlarank {

class LogWalk {
 public:
  struct User {
    std::string user_id;  // empty where the key of a head is damaged
    // DATA_LOSS for one that is damaged: the walk goes on with the next user.
    absl::StatusOr<UserHead> head;
  };

  virtual ~LogWalk() = default;

  // nullopt at the end. An error ends the walk: who comes after is not known.
  virtual absl::StatusOr<std::optional<User>> NextUser() = 0;

  // Appends to `events` at most `limit` events of the user whose turn it is,
  // from `from_sequence` on. DATA_LOSS naming the first that is damaged or
  // missing: those before it are there. REQUIRES: the user's head is good, and
  // from_sequence >= head.first_sequence.
  virtual absl::Status Read(uint64_t from_sequence, size_t limit,
                            std::vector<LoggedEvent>& events) = 0;
};

}  // namespace qlarank

#endif  // QLARANK_STATE_STORE_LOG_WALK_H_
