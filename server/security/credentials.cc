#include "server/security/credentials.h"

namespace qlarank {

Credentials CredentialsOf(
    const std::multimap<grpc::string_ref, grpc::string_ref>& metadata,
    const grpc::AuthContext& context) {
  Credentials credentials;
  const auto [begin, end] = metadata.equal_range("authorization");
  for (auto entry = begin; entry != end; ++entry) {
    credentials.authorization.push_back(AsStringView(entry->second));
  }
  // Not GetPeerIdentity: without a certificate that is the kind of connection,
  // which is nobody's name.
  for (const char* property :
       {"x509_subject_alternative_name", "x509_common_name"}) {
    for (const auto& name : context.FindPropertyValues(property)) {
      credentials.names.push_back(AsStringView(name));
    }
    if (!credentials.names.empty()) break;
  }
  return credentials;
}

}  // namespace qlarank
