// A user's purchases up to a moment, and what she bought next: the data of a
// next-basket evaluation.
#ifndef QLARANK_CLI_BASKET_DATA_H_
#define QLARANK_CLI_BASKET_DATA_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "cli/event_csv.h"
#include "google/protobuf/timestamp.pb.h"

namespace qlarank {

// The items of a user's first held-out events: those with the same, earliest
// time.
struct Basket {
  google::protobuf::Timestamp time;
  std::vector<uint64_t> items;  // sorted, each once
};

// By user, in a fixed order.
using Baskets = std::map<std::string, Basket>;

// Reads the first basket of every user from a CSV file in order of time.
absl::StatusOr<Baskets> LoadNextBaskets(const std::string& path, TimeUnit unit);

// What was bought before, by everybody and by each user.
class PurchaseHistory {
 public:
  static absl::StatusOr<PurchaseHistory> Load(const std::string& path,
                                              TimeUnit unit);

  // The k items bought most often. Ties go to the lower id.
  std::vector<uint64_t> MostPopular(size_t k) const;
  // The k items that the user bought most often; ties go to the one bought
  // last, then to the more popular one. Filled up with the most popular ones.
  std::vector<uint64_t> Favourites(const std::string& user, size_t k) const;
  uint64_t num_events() const { return num_events_; }

 private:
  struct Count {
    uint64_t times = 0;
    absl::Time last;
  };

  absl::flat_hash_map<uint64_t, uint64_t> popularity_;
  absl::flat_hash_map<std::string, absl::flat_hash_map<uint64_t, Count>> users_;
  uint64_t num_events_ = 0;
};

}  // namespace qlarank

#endif  // QLARANK_CLI_BASKET_DATA_H_
