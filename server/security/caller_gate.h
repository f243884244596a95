// Stands before every RPC of an endpoint: finds out who calls, and whether the
// access table lets it. A call that is refused never reaches a service.
//
// Runs on gRPC's threads, once an RPC, and does not block: a table look-up, a
// SHA-256 of the token. Thread-safe.
#ifndef QLARANK_SERVER_SECURITY_CALLER_GATE_H_
#define QLARANK_SERVER_SECURITY_CALLER_GATE_H_

#include <memory>
#include <string>

#include "absl/time/time.h"
#include "grpcpp/security/auth_metadata_processor.h"
#include "server/metrics/security_metrics.h"
#include "server/ops/log_throttle.h"
#include "server/security/access_table.h"
#include "server/security/authenticator.h"

namespace qlarank {

class CallerGate final : public grpc::AuthMetadataProcessor {
 public:
  // `metrics` must outlive the server.
  CallerGate(std::shared_ptr<const Authenticator> authenticator,
             SecurityMetrics& metrics)
      : authenticator_(std::move(authenticator)), metrics_(metrics) {}

  bool IsBlocking() const override { return false; }

  // OK; UNAUTHENTICATED when it is not known who calls; UNIMPLEMENTED when the
  // method is in no table; PERMISSION_DENIED when the caller may not. Leaves the token where it is: services name their caller
  // by it (CallerNames).
  grpc::Status Process(const InputMetadata& metadata,
                       grpc::AuthContext* context,
                       OutputMetadata* consumed_metadata,
                       OutputMetadata* response_metadata) override;

 private:
  grpc::Status Refuse(Denial denial, const MethodAccess* access,
                      const std::string& caller_name);

  const std::shared_ptr<const Authenticator> authenticator_;
  SecurityMetrics& metrics_;
  LogThrottle throttle_{absl::Seconds(10)};
};

}  // namespace qlarank

#endif  // QLARANK_SERVER_SECURITY_CALLER_GATE_H_
