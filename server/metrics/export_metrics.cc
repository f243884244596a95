#include "server/metrics/export_metrics.h"

#include "server/metrics/metric_builders.h"

namespace qlarank {

ExportMetrics::ExportMetrics(prometheus::Registry& registry)
    : running(PlainGauge(registry, "qlarank_exports_running",
                         "Exports of events that are under way.")),
      events(PlainCounter(registry, "qlarank_exported_events_total",
                          "Events that were read for exports.")) {}

}  // namespace qlarank
