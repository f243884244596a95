// Who asked for an RPC, for records of it.
#ifndef QLARANK_SERVER_RPC_PRINCIPAL_H_
#define QLARANK_SERVER_RPC_PRINCIPAL_H_

#include <string>

#include "grpcpp/security/auth_context.h"
#include "grpcpp/server_context.h"

namespace qlarank {

// The name in the caller's certificate; "" when the connection has none.
inline std::string PrincipalOf(const grpc::ServerContextBase& context) {
  const auto auth = context.auth_context();
  if (auth == nullptr) return "";
  for (const char* property :
       {"x509_subject_alternative_name", "x509_common_name"}) {
    const auto values = auth->FindPropertyValues(property);
    if (!values.empty()) {
      return std::string(values.front().data(), values.front().size());
    }
  }
  return "";
}

}  // namespace qlarank

#endif  // QLARANK_SERVER_RPC_PRINCIPAL_H_
