// What letting requests in, or not, shows. Thread-safe; registered by the
// pipeline that lets them in.
#ifndef QLARANK_SERVER_METRICS_ADMISSION_METRICS_H_
#define QLARANK_SERVER_METRICS_ADMISSION_METRICS_H_

#include "prometheus/gauge.h"
#include "prometheus/registry.h"
#include "server/metrics/metric_builders.h"

namespace qlarank {

struct AdmissionMetrics {
  // `registry` must outlive this.
  explicit AdmissionMetrics(prometheus::Registry& registry)
      : refusals_held(PlainGauge(registry, "qlarank_rank_refusals_held",
                                 "Rank requests refused and not yet told so.")),
        processors(PlainGauge(
            registry, "qlarank_rank_processors",
            "Processors that the workers had of late when they wanted them, as "
            "the last request found them; rank.workers on a quiet machine.")) {}

  // qlarank_rank_refusals_held
  prometheus::Gauge& refusals_held;
  // qlarank_rank_processors
  prometheus::Gauge& processors;
};

}  // namespace qlarank

#endif  // QLARANK_SERVER_METRICS_ADMISSION_METRICS_H_
