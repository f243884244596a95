// Shorthands for registering metrics: a family, or a metric without labels.
// REQUIRES: a name that the registry does not hold under another type, and a
// registry that outlives what is returned.
#ifndef QLARANK_SERVER_METRICS_METRIC_BUILDERS_H_
#define QLARANK_SERVER_METRICS_METRIC_BUILDERS_H_

#include <string>

#include "prometheus/counter.h"
#include "prometheus/family.h"
#include "prometheus/gauge.h"
#include "prometheus/histogram.h"
#include "prometheus/registry.h"

namespace qlarank {

inline prometheus::Family<prometheus::Counter>& CounterFamily(
    prometheus::Registry& registry, const std::string& name,
    const std::string& help) {
  return prometheus::BuildCounter().Name(name).Help(help).Register(registry);
}

inline prometheus::Family<prometheus::Gauge>& GaugeFamily(
    prometheus::Registry& registry, const std::string& name,
    const std::string& help) {
  return prometheus::BuildGauge().Name(name).Help(help).Register(registry);
}

inline prometheus::Family<prometheus::Histogram>& HistogramFamily(
    prometheus::Registry& registry, const std::string& name,
    const std::string& help) {
  return prometheus::BuildHistogram().Name(name).Help(help).Register(registry);
}

inline prometheus::Counter& PlainCounter(prometheus::Registry& registry,
                                         const std::string& name,
                                         const std::string& help) {
  return CounterFamily(registry, name, help).Add({});
}

inline prometheus::Gauge& PlainGauge(prometheus::Registry& registry,
                                     const std::string& name,
                                     const std::string& help) {
  return GaugeFamily(registry, name, help).Add({});
}

inline prometheus::Histogram& PlainHistogram(
    prometheus::Registry& registry, const std::string& name,
    const std::string& help,
    const prometheus::Histogram::BucketBoundaries& buckets) {
  return HistogramFamily(registry, name, help).Add({}, buckets);
}

}  // namespace qlarank

#endif  // QLARANK_SERVER_METRICS_METRIC_BUILDERS_H_
