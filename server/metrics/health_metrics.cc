#include "server/metrics/health_metrics.h"

#include "server/metrics/metric_builders.h"

namespace qlarank {

const char* PartName(Part part) {
  switch (part) {
    case Part::kWrites:
      return "writes";
    case Part::kTokens:
      return "tokens";
    case Part::kCertificates:
      return "certificates";
  }
  return "unknown";
}

HealthMetrics::HealthMetrics(prometheus::Registry& registry)
    : restart_needed(PlainGauge(
          registry, "qlarank_restart_needed",
          "1 from a fault on that ends only when the server is restarted.")) {
  auto& degraded = GaugeFamily(
      registry, "qlarank_degraded",
      "1 while a part of the server is worse than it should be.");
  for (int part = 0; part < kParts; ++part) {
    degraded_[part] =
        &degraded.Add({{"part", PartName(static_cast<Part>(part))}});
  }
}

}  // namespace qlarank
