// A Rank call and its reply, checked and put in order.
#ifndef QLARANK_CLI_RANKING_H_
#define QLARANK_CLI_RANKING_H_

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "cli/client.h"
#include "qlarank/v1/rank_service.pb.h"

namespace qlarank {

struct Ranking {
  // The request's top_k, best first.
  std::vector<uint64_t> items;
  v1::RankResponse response;
  // As the caller sees it: the network counted.
  absl::Duration latency;
};

// The server's error, or INTERNAL for a reply that does not fit the request.
absl::StatusOr<Ranking> RankTop(const Client& client,
                                const v1::RankRequest& request);

// The same from a state that holds every event of the user's log: ranks once
// more, with min_event_count, when the first reply's state was behind.
absl::StatusOr<Ranking> RankTopUpToDate(const Client& client,
                                        v1::RankRequest request);

}  // namespace qlarank

#endif  // QLARANK_CLI_RANKING_H_
