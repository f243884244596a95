// Rank requests in the form in which they go over the wire, made before the
// clock starts: the generator shares its processors with the server, so what it
// spends on a request is kept small.
#ifndef QLARANK_BENCH_LOAD_PREPARED_REQUESTS_H_
#define QLARANK_BENCH_LOAD_PREPARED_REQUESTS_H_

#include <cstdint>
#include <string>
#include <vector>

namespace qlarank::bench {

struct Population {
  std::string user_prefix = "user-";
  uint64_t users = 1;  // <prefix>0, <prefix>1, ...
  uint64_t items = 1;  // ids 1 ... items
  // The time of every request; 0: the server's clock.
  int64_t request_second = 0;
  // Instead of 1 ... items, unless it is empty.
  std::vector<uint64_t> item_ids = {};

  uint64_t ItemId(uint64_t number) const {  // `number` of any size
    return item_ids.empty() ? 1 + number % items
                            : item_ids[number % item_ids.size()];
  }
};

class PreparedRequests {
 public:
  // `count` requests of random users and items, all different.
  PreparedRequests(const Population& population, uint32_t candidates,
                   size_t count, uint32_t seed);

  // One after the other, and again from the first, with gRPC's prefix.
  const std::string& Next() { return requests_[next_++ % size()]; }
  size_t size() const { return requests_.size(); }

 private:
  std::vector<std::string> requests_;
  size_t next_ = 0;
};

}  // namespace qlarank::bench

#endif  // QLARANK_BENCH_LOAD_PREPARED_REQUESTS_H_
