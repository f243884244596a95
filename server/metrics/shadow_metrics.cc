#include "server/metrics/shadow_metrics.h"

#include "absl/strings/str_cat.h"
#include "server/metrics/metric_builders.h"

namespace qlarank {
namespace {

prometheus::Labels LabelsOf(const ShadowMetrics::Pair& pair,
                            const prometheus::Labels& more = {}) {
  prometheus::Labels labels = {{"model", pair.model},
                               {"version", absl::StrCat(pair.served)},
                               {"shadow_version", absl::StrCat(pair.shadow)}};
  labels.insert(more.begin(), more.end());
  return labels;
}

}  // namespace

void ShadowTaskSums::Add(const ShadowTaskSums& other) {
  requests += other.requests;
  ordered_requests += other.ordered_requests;
  rank_distance += other.rank_distance;
  top_10_overlap += other.top_10_overlap;
  top_k_requests += other.top_k_requests;
  top_k_overlap += other.top_k_overlap;
  served_score += other.served_score;
  shadow_score += other.shadow_score;
}

void ShadowCandidateSums::Add(const ShadowCandidateSums& other) {
  all += other.all;
  unknown_to_served += other.unknown_to_served;
  unknown_to_shadow += other.unknown_to_shadow;
}

ShadowMetrics::ShadowMetrics(prometheus::Registry& registry)
    : requests_(CounterFamily(registry, "qlarank_shadow_requests_total",
                              "Requests in the sample that a shadow version "
                              "scores again, by what became of them.")),
      compared_(CounterFamily(registry, "qlarank_shadow_compared_total",
                              "Requests that were scored again, by task.")),
      ordered_(CounterFamily(
          registry, "qlarank_shadow_ordered_total",
          "Of them, those in which both versions tell candidates apart.")),
      rank_distance_(CounterFamily(
          registry, "qlarank_shadow_rank_distance_total",
          "Over these, the sum of 1 less Spearman's rank correlation.")),
      top_10_overlap_(CounterFamily(
          registry, "qlarank_shadow_top_10_overlap_total",
          "The sum of the share of the first 10 that both versions have.")),
      top_k_requests_(CounterFamily(registry,
                                    "qlarank_shadow_top_k_requests_total",
                                    "Of them, those that asked for an order.")),
      top_k_overlap_(CounterFamily(
          registry, "qlarank_shadow_top_k_overlap_total",
          "Over these, the sum of the share of the first top_k that both "
          "versions have.")),
      scores_(CounterFamily(
          registry, "qlarank_shadow_scores_total",
          "The sum of each version's mean score of a request's candidates.")),
      candidates_(CounterFamily(registry, "qlarank_shadow_candidates_total",
                                "Candidates that were scored again.")),
      unknown_(CounterFamily(
          registry, "qlarank_shadow_unknown_candidates_total",
          "Of them, those that one version knows and the other does not.")) {}

void ShadowMetrics::CountRequest(const Pair& pair, absl::string_view result) {
  requests_.Add(LabelsOf(pair, {{"result", std::string(result)}})).Increment();
}

void ShadowMetrics::Add(const Pair& pair, absl::string_view task,
                        const ShadowTaskSums& sums) {
  const auto add = [&](Counters& counters, double value,
                       const prometheus::Labels& more = {}) {
    prometheus::Labels labels = LabelsOf(pair, more);
    labels.emplace("task", std::string(task));
    counters.Add(labels).Increment(value);
  };
  add(compared_, sums.requests);
  add(ordered_, sums.ordered_requests);
  add(rank_distance_, sums.rank_distance);
  add(top_10_overlap_, sums.top_10_overlap);
  add(top_k_requests_, sums.top_k_requests);
  add(top_k_overlap_, sums.top_k_overlap);
  // What candidates are ordered by is not a score, and has no mean.
  if (sums.served_score == 0 && sums.shadow_score == 0) return;
  add(scores_, sums.served_score, {{"of", "served"}});
  add(scores_, sums.shadow_score, {{"of", "shadow"}});
}

void ShadowMetrics::Add(const Pair& pair, const ShadowCandidateSums& sums) {
  candidates_.Add(LabelsOf(pair)).Increment(sums.all);
  unknown_.Add(LabelsOf(pair, {{"to", "served"}}))
      .Increment(sums.unknown_to_served);
  unknown_.Add(LabelsOf(pair, {{"to", "shadow"}}))
      .Increment(sums.unknown_to_shadow);
}

}  // namespace qlarank
