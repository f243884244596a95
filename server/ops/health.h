// Whether the server takes requests, told in two ways that never disagree: the
// standard gRPC health service (grpc.health.v1.Health: Check and Watch) and
// GET /readyz.
//
// gRPC brings the service itself; this class holds the truth and tells it. A
// server begins as not serving, because it is loading.
//
// Thread-safe.
#ifndef QLARANK_SERVER_OPS_HEALTH_H_
#define QLARANK_SERVER_OPS_HEALTH_H_

#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "grpcpp/health_check_service_interface.h"

namespace qlarank {

struct Readiness {
  bool ready = false;
  std::string reason;  // why not; empty when ready
};

class Health {
 public:
  // Tells `service` too from now on, under the names of `services` and under "",
  // which stands for the whole server. It must live until Detach.
  void Attach(grpc::HealthCheckServiceInterface& service,
              const std::vector<std::string>& services)
      ABSL_LOCKS_EXCLUDED(mutex_);

  // From all of them. Before the gRPC servers, which own the services, go.
  void Detach() ABSL_LOCKS_EXCLUDED(mutex_);

  void SetServing() ABSL_LOCKS_EXCLUDED(mutex_);

  // `reason` is one word for operators: "loading", "draining".
  void SetNotServing(absl::string_view reason) ABSL_LOCKS_EXCLUDED(mutex_);

  Readiness readiness() const ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  struct Told {
    grpc::HealthCheckServiceInterface* service;
    std::vector<std::string> names;
  };

  void Tell() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  mutable absl::Mutex mutex_;
  Readiness readiness_ ABSL_GUARDED_BY(mutex_) = {false, "loading"};
  std::vector<Told> told_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace qlarank

#endif  // QLARANK_SERVER_OPS_HEALTH_H_
