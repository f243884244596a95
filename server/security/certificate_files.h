// The PEM files of TLS, looked at before gRPC gets them: it only says that a
// handshake failed, where an operator needs to read which file is wrong.
#ifndef QLARANK_SERVER_SECURITY_CERTIFICATE_FILES_H_
#define QLARANK_SERVER_SECURITY_CERTIFICATE_FILES_H_

#include <optional>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "config/server_options.h"

namespace qlarank {

// When certificates end: of a file with several, the first to end.
struct CertificateExpiry {
  absl::Time server;
  std::optional<absl::Time> client_ca;  // nullopt when there is no such file
};

// Reads the files that `options` names. The error begins with the field and the
// file's path, and holds nothing of a key:
//
//   NOT_FOUND, PERMISSION_DENIED ...  it cannot be read
//   INVALID_ARGUMENT     it is not PEM; the key is encrypted, or another's
//   FAILED_PRECONDITION  a certificate is not valid at `now`
absl::StatusOr<CertificateExpiry> CheckCertificateFiles(
    const TlsOptions& options, absl::Time now);

}  // namespace qlarank

#endif  // QLARANK_SERVER_SECURITY_CERTIFICATE_FILES_H_
