#include "bench/load/prepared_requests.h"

#include <random>

#include "absl/strings/str_cat.h"
#include "bench/load/connection.h"
#include "qlarank/v1/rank_service.pb.h"

namespace qlarank::bench {

PreparedRequests::PreparedRequests(const Population& population,
                                   uint32_t candidates, size_t count,
                                   uint32_t seed) {
  std::mt19937_64 random(seed);
  requests_.reserve(count);
  for (size_t i = 0; i < count; ++i) {
    v1::RankRequest request;
    request.set_user_id(
        absl::StrCat(population.user_prefix, random() % population.users));
    if (population.request_second > 0) {
      request.mutable_request_time()->set_seconds(population.request_second);
    }
    for (uint32_t c = 0; c < candidates; ++c) {
      request.add_item_ids(population.ItemId(random()));
    }
    requests_.push_back(Framed(request.SerializeAsString()));
  }
}

}  // namespace qlarank::bench
