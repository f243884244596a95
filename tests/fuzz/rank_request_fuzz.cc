// Any Rank request is refused by naming what is wrong, or answered with as many
// finite scores as it asked for, each of which the candidate gets alone, too.
#include <cmath>
#include <cstring>
#include <set>

#include "tests/fuzz/fuzz_target.h"
#include "tests/fuzz/small_server.h"

namespace qlarank::fuzz {
namespace {

void CheckScores(const v1::RankRequest& request,
                 const v1::RankResponse& response) {
  const int candidates = request.item_ids_size();
  Check(response.tasks_size() > 0, "there is a task");
  Check(response.scores_size() == candidates * response.tasks_size(),
        "there is a score for every candidate and task");
  for (const float score : response.scores()) {
    Check(std::isfinite(score), "scores are finite");
  }
  Check(response.scored_fraction() == 1, "all candidates are scored");
}

void CheckOrder(const v1::RankRequest& request,
                const v1::RankResponse& response) {
  const int candidates = request.item_ids_size();
  Check(static_cast<uint32_t>(response.order_size()) ==
            std::min<uint32_t>(request.top_k(), candidates),
        "the order is as long as was asked for");
  const std::set<uint32_t> distinct(response.order().begin(),
                                    response.order().end());
  Check(distinct.size() == static_cast<size_t>(response.order_size()) &&
            (distinct.empty() ||
             *distinct.rbegin() < static_cast<uint32_t>(candidates)),
        "the order is of candidates, none twice");
}

// Invariant 3: the last candidate's scores are those that it gets alone.
void CheckAlone(const v1::RankRequest& request,
                const v1::RankResponse& response) {
  const int last = request.item_ids_size() - 1;
  const int features = request.candidate_features_size() / (last + 1);
  v1::RankRequest alone = request;
  alone.clear_item_ids();
  alone.clear_candidate_features();
  alone.add_item_ids(request.item_ids(last));
  for (int i = 0; i < features; ++i) {
    alone.add_candidate_features(
        request.candidate_features(last * features + i));
  }
  v1::RankResponse scored;
  Check(SmallServer::Get().Rank(alone, scored).ok(), "one alone is ranked");
  const int tasks = response.tasks_size();
  Check(scored.scores_size() == tasks &&
            std::memcmp(scored.scores().data(),
                        response.scores().data() + last * tasks,
                        tasks * sizeof(float)) == 0,
        "a candidate's scores do not depend on the others");
}

}  // namespace

std::vector<std::string> Seeds() {
  const Bundle& bundle = SmallServer::Get().bundle();
  v1::RankRequest plain =
      testing::MakeRank(bundle, SmallServer::kUser, {10, 20, 77});
  v1::RankRequest full = plain;
  full.set_model_name("tiny");
  full.set_model_version(1);
  *full.add_recent_events() = testing::MakeEvent(bundle, "v", 7);
  *full.add_recent_events() = testing::MakeEvent(bundle, "v", 8);
  full.add_tasks("like");
  full.add_value_weights(2);
  full.set_top_k(2);
  full.set_min_event_count(SmallServer::kHistory);
  full.mutable_max_state_age()->set_seconds(1'000'000);
  full.set_allow_partial(true);
  full.set_request_id("r");
  // The greatest features that there may be, and greater ones.
  v1::RankRequest great = full;
  v1::RankRequest too_great = full;
  for (int i = 0; i < great.candidate_features_size(); ++i) {
    great.set_candidate_features(i, i % 2 == 0 ? 1e9f : -1e9f);
    too_great.set_candidate_features(i, i % 2 == 0 ? 3e38f : -3e38f);
  }
  great.mutable_recent_events(0)->set_features(0, -1e9f);
  return {plain.SerializeAsString(),
          full.SerializeAsString(),
          great.SerializeAsString(),
          too_great.SerializeAsString(),
          testing::MakeRank(bundle, "nobody", {30}).SerializeAsString(),
          testing::MakeRank(bundle, SmallServer::kUser,
                            testing::CatalogueItems(bundle, 70))
              .SerializeAsString()};
}

}  // namespace qlarank::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  namespace fuzz = qlarank::fuzz;
  fuzz::SmallServer& server = fuzz::SmallServer::Get();
  qlarank::v1::RankRequest request;
  if (!fuzz::ParseMessage(data, size, request)) return 0;
  qlarank::v1::RankResponse response;
  const absl::Status status = server.Rank(request, response);
  if (!status.ok()) {
    fuzz::CheckRefusal(status);
    fuzz::Check(response.ByteSizeLong() == 0, "a refusal answers nothing");
    return 0;
  }
  fuzz::CheckScores(request, response);
  fuzz::CheckOrder(request, response);
  if (request.item_ids_size() > 1) fuzz::CheckAlone(request, response);
  return 0;
}
