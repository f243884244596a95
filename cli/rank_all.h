// Ranks the same candidates for many users, several at a time.
#ifndef QLARANK_CLI_RANK_ALL_H_
#define QLARANK_CLI_RANK_ALL_H_

#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "cli/client.h"
#include "cli/event_csv.h"
#include "cli/progress.h"
#include "cli/ranking.h"
#include "google/protobuf/timestamp.pb.h"
#include "qlarank/v1/rank_service.pb.h"

namespace qlarank {

struct RankJob {
  std::string user;
  google::protobuf::Timestamp time;  // of the request
  EventContext context = {};
  uint32_t top_k = 0;
  // The answer, its scores and order dropped: they are 200 KB a user.
  Ranking ranking;
};

// Gives a request the values of a line's context; an empty one is not named.
void FillContext(const EventContext& context, v1::RankRequest& request);

// Sends `request` for every job, `in_flight` at a time, each from a state that
// holds all of the user's events, and has `take` look at every answer, one at a
// time; it may shorten `ranking.items`. Blocks until all are answered, or
// returns the first error.
absl::Status RankAll(const Client& client, const v1::RankRequest& request,
                     size_t in_flight,
                     absl::FunctionRef<absl::Status(RankJob&)> take,
                     std::vector<RankJob>& jobs, Progress& progress);

}  // namespace qlarank

#endif  // QLARANK_CLI_RANK_ALL_H_
