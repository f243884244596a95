// Whether the server takes requests, told in two ways that never disagree: the
// standard gRPC health service (grpc.health.v1.Health: Check and Watch) and
// GET /readyz.
//
// gRPC brings the service itself; this class holds the truth and tells it. A
// server begins as not serving, because it is loading. While it serves, parts of
// it may be worse than they should be: it goes on ranking then and stays ready,
// but says so, and services that need such a part are not serving.
//
// Thread-safe.
#ifndef QLARANK_SERVER_OPS_HEALTH_H_
#define QLARANK_SERVER_OPS_HEALTH_H_

#include <array>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "grpcpp/health_check_service_interface.h"
#include "server/metrics/health_metrics.h"

namespace qlarank {

struct Readiness {
  bool ready = false;
  std::string reason;  // why not; empty when ready
  std::vector<std::string> degraded;  // "writes: REASON", a part each
};

class Health {
 public:
  // `metrics` may be null and must otherwise outlive this.
  explicit Health(HealthMetrics* metrics = nullptr) : metrics_(metrics) {}

  // Tells `service` too from now on, under the names of `services` and under "",
  // which stands for the whole server. Those of `writing` are nothing without
  // kWrites. It must live until Detach.
  void Attach(grpc::HealthCheckServiceInterface& service,
              const std::vector<std::string>& services,
              const std::vector<std::string>& writing = {})
      ABSL_LOCKS_EXCLUDED(mutex_);

  // From all of them. Before the gRPC servers, which own the services, go.
  void Detach() ABSL_LOCKS_EXCLUDED(mutex_);

  void SetServing() ABSL_LOCKS_EXCLUDED(mutex_);

  // `reason` is one word for operators: "loading", "draining".
  void SetNotServing(absl::string_view reason) ABSL_LOCKS_EXCLUDED(mutex_);

  // A part is worse than it should be, until it is restored. Anyone may read
  // the reason.
  void Degrade(Part part, absl::string_view reason)
      ABSL_LOCKS_EXCLUDED(mutex_);
  void Restore(Part part) ABSL_LOCKS_EXCLUDED(mutex_);

  Readiness readiness() const ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  struct Told {
    grpc::HealthCheckServiceInterface* service;
    std::vector<std::string> names;
    std::vector<std::string> writing;
  };

  void Tell() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool degraded(Part part) const ABSL_SHARED_LOCKS_REQUIRED(mutex_) {
    return !degraded_[static_cast<int>(part)].empty();
  }

  HealthMetrics* const metrics_;
  mutable absl::Mutex mutex_;
  bool ready_ ABSL_GUARDED_BY(mutex_) = false;
  std::string reason_ ABSL_GUARDED_BY(mutex_) = "loading";
  std::array<std::string, kParts> degraded_ ABSL_GUARDED_BY(mutex_);
  std::vector<Told> told_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace qlarank

#endif  // QLARANK_SERVER_OPS_HEALTH_H_
