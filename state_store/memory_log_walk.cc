// The walk over the logs of a store in memory: a list of users and heads, and a
// look at each when it is their turn.

#include <algorithm>
#include <utility>

#include "absl/synchronization/mutex.h"
#include "state_store/keys.h"
#include "state_store/log_walk.h"
#include "state_store/memory_state_store.h"
#include "state_store/validation.h"

namespace qlarank {

class MemoryStateStore::Walk final : public LogWalk {
 public:
  struct Stop {
    std::string key;
    std::string user_id;
    UserHead head;
  };

  // In the order of their keys.
  Walk(const MemoryStateStore& store, std::vector<Stop> stops)
      : store_(store), stops_(std::move(stops)) {}

  absl::StatusOr<std::optional<User>> NextUser() override {
    absl::ReaderMutexLock lock(&store_.mutex_);
    for (; next_ < stops_.size(); ++next_) {
      Stop& stop = stops_[next_];
      const auto now = store_.users_.find(stop.user_id);
      if (now == store_.users_.end() ||
          now->second.head.incarnation != stop.head.incarnation) {
        continue;
      }
      stop.head.first_sequence = std::min(now->second.head.first_sequence,
                                          stop.head.last_sequence + 1);
      const std::vector<LoggedEvent>& events = now->second.events;
      events_.assign(events.begin(), events.begin() + stop.head.num_events());
      at_ = next_++;
      return User{stop.user_id, stop.head};
    }
    return std::nullopt;
  }

  absl::Status Read(uint64_t from_sequence, size_t limit,
                    std::vector<LoggedEvent>& events) override {
    const size_t first = from_sequence - stops_[at_].head.first_sequence;
    for (size_t i = first; i < events_.size() && limit > 0; ++i, --limit) {
      events.push_back(events_[i]);
    }
    return absl::OkStatus();
  }

 private:
  const MemoryStateStore& store_;
  std::vector<Stop> stops_;
  size_t next_ = 0;
  // Of the user whose turn it is.
  size_t at_ = 0;
  std::vector<LoggedEvent> events_;
};

absl::StatusOr<std::unique_ptr<LogWalk>> MemoryStateStore::WalkLogs(
    absl::string_view from_user) const {
  if (!from_user.empty()) {
    absl::Status valid = ValidateUserId(from_user);
    if (!valid.ok()) return valid;
  }
  const std::string from_key = from_user.empty() ? "" : UserKey(from_user);
  std::vector<Walk::Stop> stops;
  absl::Status listed = ForEachUser(
      [&](absl::string_view user_id, const UserHead& head) {
        std::string key = UserKey(user_id);
        if (key >= from_key) {
          stops.push_back({std::move(key), std::string(user_id), head});
        }
        return true;
      });
  if (!listed.ok()) return listed;
  std::sort(stops.begin(), stops.end(),
            [](const Walk::Stop& a, const Walk::Stop& b) {
              return a.key < b.key;
            });
  return std::make_unique<Walk>(*this, std::move(stops));
}

}  // namespace qlarank
