#include "server/metrics/retention_metrics.h"

#include "server/metrics/metric_builders.h"

namespace qlarank {

RetentionMetrics::RetentionMetrics(prometheus::Registry& registry)
    : refused_(GaugeFamily(
          registry, "qlarank_retention_refused",
          "1 while sweeps remove nothing for its age, by reason.")),
      idle_users_erased(PlainCounter(
          registry, "qlarank_retention_idle_users_erased_total",
          "Users erased because they were idle for too long.")),
      events_trimmed(PlainCounter(
          registry, "qlarank_retention_events_trimmed_total",
          "Events removed from logs because snapshots stand for them.")),
      erasures_purged(PlainCounter(
          registry, "qlarank_retention_erasures_purged_total",
          "Erased users of whom nothing is in the files any more.")),
      failures(PlainCounter(registry, "qlarank_retention_failures_total",
                            "Steps of retention that failed.")),
      refused_for_clock(refused_.Add({{"reason", "clock"}})),
      refused_for_share(refused_.Add({{"reason", "share"}})) {}

}  // namespace qlarank
