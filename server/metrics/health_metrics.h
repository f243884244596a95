// What is worse than it should be, as metrics. Thread-safe; handles live as long
// as the registry.
#ifndef QLARANK_SERVER_METRICS_HEALTH_METRICS_H_
#define QLARANK_SERVER_METRICS_HEALTH_METRICS_H_

#include <array>

#include "prometheus/gauge.h"
#include "prometheus/registry.h"

namespace qlarank {

// What may be worse than it should be while the server serves.
enum class Part {
  kWrites,        // the store refuses them
  kTokens,        // the file on the disk is not what is in use
  kCertificates,  // likewise
};
inline constexpr int kParts = 3;

// "writes" and so on: the metric's label, and what /readyz says.
const char* PartName(Part part);

class HealthMetrics {
 private:
  std::array<prometheus::Gauge*, kParts> degraded_;

 public:
  // `registry` must outlive this.
  explicit HealthMetrics(prometheus::Registry& registry);

  // qlarank_degraded{part}: 1 while the part is worse than it should be.
  void SetDegraded(Part part, bool degraded) {
    degraded_[static_cast<int>(part)]->Set(degraded ? 1 : 0);
  }

  // qlarank_restart_needed: 1 from a fault on that ends with a restart only.
  prometheus::Gauge& restart_needed;
};

}  // namespace qlarank

#endif  // QLARANK_SERVER_METRICS_HEALTH_METRICS_H_
