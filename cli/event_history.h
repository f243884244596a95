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
  // Events of a user come in order.
  void Add(const v1::UserEvent& event);

  // Whether a user has any event, and any with an item.
  bool HasUser(const std::string& user) const;
  bool HasItem(const std::string& user, uint64_t item) const;
  // Events of a user, and the newest's time; InfinitePast without any.
  uint64_t NumEvents(const std::string& user) const;
  absl::Time Newest(const std::string& user) const;
  // Different items of a user.
  size_t NumItems(const std::string& user) const;

  // All items, the most frequent first. Ties go to the lower id.
  std::vector<uint64_t> ByPopularity() const;
  // The k items that the user had most often; ties go to the one they had last,
  // then to the more popular one. Filled up from `popular`, ByPopularity().
  std::vector<uint64_t> Favourites(const std::string& user, size_t k,
                                   const std::vector<uint64_t>& popular) const;

 private:
  struct Count {
    uint64_t times = 0;
    absl::Time last;  // in the file's order
    absl::Time newest = absl::InfinitePast();
  };
  using Items = absl::flat_hash_map<uint64_t, Count>;

  const Items* ItemsOf(const std::string& user) const;

  absl::flat_hash_map<uint64_t, uint64_t> popularity_;
  absl::flat_hash_map<std::string, Items> users_;
};

}  // namespace qlarank

#endif  // QLARANK_CLI_EVENT_HISTORY_H_
