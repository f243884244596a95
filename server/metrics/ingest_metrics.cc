#include "server/metrics/ingest_metrics.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "server/metrics/histogram_buckets.h"
#include "server/metrics/metric_builders.h"

namespace qlarank {

IngestMetrics::IngestMetrics(prometheus::Registry& registry)
    : events_(CounterFamily(registry, "qlarank_ingest_events_total",
                            "Events received, by result.")),
      fold_unknown_actions_(CounterFamily(
          registry, "qlarank_fold_unknown_actions_total",
          "Events folded whose action the model does not know.")),
      fold_missing_features_(CounterFamily(
          registry, "qlarank_fold_missing_features_total",
          "Events folded that lack an event feature of the model.")),
      events_applied(events_.Add({{"result", "applied"}})),
      events_duplicate(events_.Add({{"result", "duplicate"}})),
      events_late(events_.Add({{"result", "late"}})),
      events_invalid(events_.Add({{"result", "invalid"}})),
      events_held_back(events_.Add({{"result", "held_back"}})),
      events_refused(events_.Add({{"result", "refused"}})),
      unknown_category_values(PlainCounter(
          registry, "qlarank_ingest_unknown_category_values_total",
          "Values of events' categories that the default model does not "
          "know.")),
      fence_pairs(PlainGauge(registry, "qlarank_ingest_fenced_pairs",
                             "Pairs of user and source of which events are "
                             "held back behind refused ones.")),
      fence_positions(PlainGauge(
          registry, "qlarank_ingest_fenced_positions",
          "Refused events that must be sent again or given up.")),
      fence_closed_sources(PlainGauge(
          registry, "qlarank_ingest_closed_sources",
          "Sources with too many refused events; MarkSource opens them.")),
      fence_forgotten(PlainCounter(
          registry, "qlarank_ingest_fence_forgotten_total",
          "Refused events that are not remembered, for lack of room.")),
      source_marks(PlainGauge(registry, "qlarank_ingest_source_marks",
                              "Sources with a mark.")),
      group_events(PlainHistogram(registry, "qlarank_ingest_group_events",
                                  "Events that shared one synced commit.",
                                  CountBuckets())),
      commit_seconds(PlainHistogram(registry, "qlarank_ingest_commit_seconds",
                                    "Time taken by one synced commit.",
                                    LatencyBuckets())),
      lag_seconds(PlainHistogram(
          registry, "qlarank_ingest_lag_seconds",
          "Time from an event's arrival to the state that holds it.",
          LagBuckets())),
      fold_events(PlainCounter(registry, "qlarank_fold_events_total",
                               "Events folded into user states.")),
      fold_backlog_users(
          PlainGauge(registry, "qlarank_fold_backlog_users",
                     "Users with events waiting to be folded.")) {}

ModelFoldMetrics IngestMetrics::ForModel(absl::string_view name,
                                         uint64_t version) {
  const prometheus::Labels labels = {{"model", std::string(name)},
                                     {"version", absl::StrCat(version)}};
  return {fold_unknown_actions_.Add(labels),
          fold_missing_features_.Add(labels)};
}

}  // namespace qlarank
