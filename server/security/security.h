// The security of a server's endpoints: TLS, who may call, and the files of
// both, which are taken again when they change.
//
//   auto security = Security::Create(options, metrics.security, health);
//   builder.AddListeningPort(address, (*security)->Credentials(), &port);
//
// A changed file that is wrong, empty or gone leaves the tokens as they were; it
// is counted, logged, and told to Health until it is right again. gRPC takes
// certificates by itself: with a key that is another's, new connections fail
// until the pair is right again. Thread-safe.
#ifndef QLARANK_SERVER_SECURITY_SECURITY_H_
#define QLARANK_SERVER_SECURITY_SECURITY_H_

#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "config/server_options.h"
#include "grpcpp/security/server_credentials.h"
#include "server/metrics/security_metrics.h"
#include "server/ops/health.h"
#include "server/ops/periodic_task.h"
#include "server/security/authenticator.h"
#include "server/security/certificate_files.h"
#include "server/security/file_stamp.h"
#include "server/security/token_table.h"

namespace qlarank {

// What the token file holds that the options name. Errors name the field and the
// file. REQUIRES: they name one.
absl::StatusOr<TokenTable> ReadTokenFile(const SecurityOptions& options);

class Security {
 public:
  // Reads the files; errors name the field and the file. `metrics` and `health`,
  // which is told of changed files that are wrong, must outlive the result, and
  // it the servers that take its credentials.
  static absl::StatusOr<std::unique_ptr<Security>> Create(
      const ServerOptions& options, SecurityMetrics& metrics, Health& health);

  // For an endpoint; a fresh one for each.
  std::shared_ptr<grpc::ServerCredentials> Credentials() const;

  // Who callers are; null when they are not asked and bring no certificates.
  std::shared_ptr<const Authenticator> authenticator() const;

 private:
  Security(const ServerOptions& options, SecurityMetrics& metrics,
           Health& health);

  absl::Status LoadTokens();
  absl::Status CheckCertificates();
  // Looks for files that have changed.
  void Reload();
  void WarnOfExposure(const ListenOptions& listen) const;

  const SecurityOptions options_;
  SecurityMetrics& metrics_;
  Health& health_;
  const std::shared_ptr<Authenticator> authenticator_;
  // What was read last; of the reloading thread, once there is one.
  FileStamp tokens_stamp_;
  FileStamps certificate_stamps_;
  std::unique_ptr<PeriodicTask> reloading_;  // last: it uses all of this
};

}  // namespace qlarank

#endif  // QLARANK_SERVER_SECURITY_SECURITY_H_
