#include "server/metrics/rank_metrics.h"

#include "absl/strings/str_cat.h"
#include "server/metrics/metric_builders.h"

namespace qlarank {

RankMetrics::RankMetrics(prometheus::Registry& registry)
    : requests_(CounterFamily(registry, "qlarank_rank_requests_total",
                              "Rank requests answered, by status.")),
      duration_seconds_(HistogramFamily(registry,
                                        "qlarank_rank_duration_seconds",
                                        "Time taken by a Rank request.")),
      answered_by_version_before_(CounterFamily(
          registry, "qlarank_rank_answered_by_version_before_total",
          "Rank requests for a version that the one before answered, for what "
          "had to be folded first.")),
      stage_seconds_(HistogramFamily(
          registry, "qlarank_rank_stage_duration_seconds",
          "Time of a Rank request by stage: queue, state_load, score, "
          "encode; and outside: all of it but the engine's.")),
      unscored_(CounterFamily(registry,
                              "qlarank_rank_candidates_unscored_total",
                              "Candidates given up, by reason.")),
      queue_seconds(stage_seconds_.Add({{"stage", "queue"}}, LatencyBuckets())),
      state_load_seconds(
          stage_seconds_.Add({{"stage", "state_load"}}, LatencyBuckets())),
      score_seconds(stage_seconds_.Add({{"stage", "score"}}, LatencyBuckets())),
      encode_seconds(
          stage_seconds_.Add({{"stage", "encode"}}, LatencyBuckets())),
      outside_seconds(
          stage_seconds_.Add({{"stage", "outside"}}, LatencyBuckets())),
      candidates(PlainHistogram(registry, "qlarank_rank_candidates",
                                "Candidates of a Rank request.",
                                CountBuckets())),
      unscored_deadline(unscored_.Add({{"reason", "deadline"}})),
      unscored_cancelled(unscored_.Add({{"reason", "cancelled"}})),
      unknown_items(
          PlainCounter(registry, "qlarank_rank_unknown_items_total",
                       "Candidates scored with the out-of-vocabulary row.")),
      unknown_category_values(PlainCounter(
          registry, "qlarank_rank_unknown_category_values_total",
          "Values of categories that the model does not know, of candidates "
          "and recent events.")),
      queue_depth(PlainGauge(registry, "qlarank_queue_depth",
                             "Rank requests that no worker has begun.")),
      inflight_requests(
          PlainGauge(registry, "qlarank_inflight_requests",
                     "Rank requests admitted and not yet answered.")),
      no_model(Resolve({{"model", ""}, {"version", ""}})) {}

ModelRankMetrics& RankMetrics::ForModel(absl::string_view name,
                                        uint64_t version) {
  absl::MutexLock lock(&mutex_);
  std::unique_ptr<ModelRankMetrics>& model =
      models_[{std::string(name), version}];
  if (model == nullptr) {
    model = std::make_unique<ModelRankMetrics>(Resolve(
        {{"model", std::string(name)}, {"version", absl::StrCat(version)}}));
  }
  return *model;
}

ModelRankMetrics RankMetrics::Resolve(const prometheus::Labels& labels) {
  return {StatusCodeCounters(requests_, labels, "status"),
          duration_seconds_.Add(labels, LatencyBuckets()),
          answered_by_version_before_.Add(labels)};
}

}  // namespace qlarank
