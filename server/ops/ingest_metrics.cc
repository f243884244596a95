#include "server/ops/ingest_metrics.h"

#include "server/ops/histogram_buckets.h"
#include "server/ops/metric_builders.h"

namespace qlarank {

IngestMetrics::IngestMetrics(prometheus::Registry& registry)
    : events_(CounterFamily(registry, "qlarank_ingest_events_total",
                            "Events received, by result.")),
      events_applied(events_.Add({{"result", "applied"}})),
      events_duplicate(events_.Add({{"result", "duplicate"}})),
      events_late(events_.Add({{"result", "late"}})),
      events_invalid(events_.Add({{"result", "invalid"}})),
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

}  // namespace qlarank
