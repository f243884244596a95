// What users did up to a moment: for filters and baselines of an evaluation.
#ifndef QLARANK_CLI_EVENT_HISTORY_H_
#define QLARANK_CLI_EVENT_HISTORY_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/time/time.h"
#include "qlarank/v1/ingest_service.pb.h"

namespace qlarank {

class EventHistory {
 public:
  // By item, the times of a user's events, as they came.
  using Items = absl::flat_hash_map<uint64_t, std::vector<absl::Time>>;

  void Add(const v1::UserEvent& event);

  // Whether a user has any event, and any with an item.
  bool HasUser(const std::string& user) const;
  bool HasItem(const std::string& user, uint64_t item) const;
  // Events of a user, and the newest's time; InfinitePast without any.
  uint64_t NumEvents(const std::string& user) const;
  absl::Time Newest(const std::string& user) const;
  // Different items of a user.
  size_t NumItems(const std::string& user) const;
  // Empty without any. Lives as long as this, until Add.
  const Items& ItemsOf(const std::string& user) const;

  // How many events of each item there are from `since` on, of all users.
  absl::flat_hash_map<uint64_t, uint64_t> CountItems(absl::Time since) const;

 private:
  absl::flat_hash_map<std::string, Items> users_;
};

}  // namespace qlarank

#endif  // QLARANK_CLI_EVENT_HISTORY_H_
