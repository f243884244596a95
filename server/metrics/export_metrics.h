// What is counted about exports of events. Thread-safe; handles live as long as
// the registry.
#ifndef QLARANK_SERVER_METRICS_EXPORT_METRICS_H_
#define QLARANK_SERVER_METRICS_EXPORT_METRICS_H_

#include "prometheus/counter.h"
#include "prometheus/gauge.h"
#include "prometheus/registry.h"

namespace qlarank {

struct ExportMetrics {
  // `registry` must outlive this.
  explicit ExportMetrics(prometheus::Registry& registry);

  prometheus::Gauge& running;  // qlarank_exports_running
  // qlarank_exported_events_total: read for clients, whether they took them or
  // not.
  prometheus::Counter& events;
};

}  // namespace qlarank

#endif  // QLARANK_SERVER_METRICS_EXPORT_METRICS_H_
