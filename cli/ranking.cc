#include "cli/ranking.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"

namespace qlarank {

absl::StatusOr<Ranking> RankTop(const Client& client,
                                const v1::RankRequest& request) {
  absl::Time start = absl::Now();
  absl::StatusOr<v1::RankResponse> response = client.Rank(request);
  if (!response.ok()) return response.status();
  Ranking ranking{.items = {},
                  .response = *std::move(response),
                  .latency = absl::Now() - start};
  // The reply names candidates by index: a broken one must not crash us.
  int64_t expected =
      int64_t{request.item_ids_size()} * ranking.response.tasks_size();
  if (ranking.response.scores_size() != expected) {
    return absl::InternalError(
        absl::StrCat("the reply has ", ranking.response.scores_size(),
                     " scores, ", expected, " were expected"));
  }
  for (uint32_t index : ranking.response.order()) {
    if (index >= static_cast<uint32_t>(request.item_ids_size())) {
      return absl::InternalError(
          absl::StrCat("the reply's order has the index ", index));
    }
    ranking.items.push_back(request.item_ids(static_cast<int>(index)));
  }
  return ranking;
}

absl::StatusOr<Ranking> RankTopUpToDate(const Client& client,
                                        v1::RankRequest request) {
  absl::StatusOr<Ranking> ranking = RankTop(client, request);
  if (!ranking.ok()) return ranking;
  const v1::StateInfo& state = ranking->response.state();
  if (state.folded_sequence() >= state.log_sequence()) return ranking;
  request.set_min_event_count(state.log_sequence());
  return RankTop(client, request);
}

}  // namespace qlarank
