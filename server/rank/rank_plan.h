// A Rank request checked against its model and turned into the model's terms:
// rows instead of names. A pure function of its arguments.
#ifndef QLARANK_SERVER_RANK_RANK_PLAN_H_
#define QLARANK_SERVER_RANK_RANK_PLAN_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "config/server_options.h"
#include "google/protobuf/map.h"
#include "model/bundle.h"
#include "model/catalogue.h"
#include "model/engine.h"
#include "qlarank/v1/rank_service.pb.h"
#include "server/models/event_features.h"
#include "server/models/event_vocabulary.h"

namespace qlarank {

struct RankPlan {
  int64_t time_us = 0;                    // that "now" is for the model
  std::vector<ModelEvent> recent_events;  // features are in recent_features
  std::vector<std::vector<float>> recent_features;  // in the model's order
  std::vector<uint32_t> context_rows;     // one per context feature
  std::vector<uint32_t> tasks;            // to return, in this order
  std::vector<double> value_weights;      // parallel to tasks
  size_t top_k = 0;  // at most the number of candidates
  uint64_t min_event_count = 0;
  std::optional<uint64_t> max_events_behind;
  std::optional<absl::Duration> max_state_age;
  // That is to score the candidates again once they are answered; 0: none. Not
  // the request's to say.
  uint64_t shadow_version = 0;
  // What the action "" of a recent event stood for; "": none had it.
  std::string default_action;
  // What it is a plan of, where that is not the caller's (expanded_request.h).
  std::unique_ptr<const v1::RankRequest> expanded;

  RequestView view() const { return {time_us, recent_events, context_rows}; }
};

// The rows of the features of a request's context, of those it does not have the
// defaults'. INVALID_ARGUMENT names one that the model does not have.
absl::StatusOr<std::vector<uint32_t>> ContextRows(
    const google::protobuf::Map<std::string, std::string>& context,
    const Bundle& bundle);

// What events in requests may say, and where the model finds it.
struct RequestEvents {
  const EventVocabulary& vocabulary;
  const EventFeatures& features;  // the model's
  const Catalogue& catalogue;     // likewise
  uint32_t schema;                // that requests have
};

// INVALID_ARGUMENT names the first wrong field and its value.
absl::StatusOr<RankPlan> PlanRank(const v1::RankRequest& request,
                                  const Bundle& bundle,
                                  const RequestEvents& events,
                                  const LimitsOptions& limits, absl::Time now);

}  // namespace qlarank

#endif  // QLARANK_SERVER_RANK_RANK_PLAN_H_
