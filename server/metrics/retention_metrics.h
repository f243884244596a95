// What is counted about erasing and trimming by policy. Thread-safe; handles
// live as long as the registry.
#ifndef QLARANK_SERVER_METRICS_RETENTION_METRICS_H_
#define QLARANK_SERVER_METRICS_RETENTION_METRICS_H_

#include "prometheus/counter.h"
#include "prometheus/family.h"
#include "prometheus/gauge.h"
#include "prometheus/registry.h"

namespace qlarank {

class RetentionMetrics {
 public:
  // `registry` must outlive this.
  explicit RetentionMetrics(prometheus::Registry& registry);

 private:
  prometheus::Family<prometheus::Gauge>& refused_;

 public:

  // qlarank_retention_idle_users_erased_total
  prometheus::Counter& idle_users_erased;
  // qlarank_retention_events_trimmed_total
  prometheus::Counter& events_trimmed;
  // qlarank_retention_erasures_purged_total: erasures, of any kind, after which
  // nothing is left in the store's files.
  prometheus::Counter& erasures_purged;
  // qlarank_retention_failures_total: each is tried again.
  prometheus::Counter& failures;
  // qlarank_retention_refused{reason}: 1 while sweeps remove nothing for its age,
  // because the clock contradicts the newest event or because too much would go
  // at once.
  prometheus::Gauge& refused_for_clock;
  prometheus::Gauge& refused_for_share;
};

}  // namespace qlarank

#endif  // QLARANK_SERVER_METRICS_RETENTION_METRICS_H_
