// What a call over gRPC brings with it to say who calls.
#ifndef QLARANK_SERVER_SECURITY_CREDENTIALS_H_
#define QLARANK_SERVER_SECURITY_CREDENTIALS_H_

#include <map>
#include <vector>

#include "absl/strings/string_view.h"
#include "grpcpp/security/auth_context.h"
#include "grpcpp/support/string_ref.h"

namespace qlarank {

inline absl::string_view AsStringView(grpc::string_ref text) {
  return {text.data(), text.size()};
}

struct Credentials {
  // Values of its "authorization" metadata; one is expected at most.
  std::vector<absl::string_view> authorization;
  // Of its certificate: the subject alternative names or, without any, the
  // common name.
  std::vector<absl::string_view> names;
};

// They live as long as `metadata` and `context`.
Credentials CredentialsOf(
    const std::multimap<grpc::string_ref, grpc::string_ref>& metadata,
    const grpc::AuthContext& context);

}  // namespace qlarank

#endif  // QLARANK_SERVER_SECURITY_CREDENTIALS_H_
