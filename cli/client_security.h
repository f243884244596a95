// How the command line shows a server who it is, and checks who that is: TLS, a
// client certificate, a bearer token. All of it comes from files, so that no
// secret stands in a command line, where every process can read it.
#ifndef QLARANK_CLI_CLIENT_SECURITY_H_
#define QLARANK_CLI_CLIENT_SECURITY_H_

#include <initializer_list>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "grpcpp/security/credentials.h"

namespace qlarank {

// Paths, as they are given; "": none.
struct SecurityFiles {
  std::string tls_ca;    // authorities that the server's certificate may be of
  std::string tls_cert;  // ours, with its key
  std::string tls_key;
  std::string token;  // white space around the token does not count
};

struct ClientSecurity {
  std::shared_ptr<grpc::ChannelCredentials> credentials =
      grpc::InsecureChannelCredentials();
  std::string token;  // "": none
};

// Reads the files. INVALID_ARGUMENT, naming the option, when one cannot be read
// or makes no sense without another. A token without TLS is for loopback
// addresses only: neither of `servers` ("host:port") may be another.
absl::StatusOr<ClientSecurity> LoadClientSecurity(
    const SecurityFiles& files, std::initializer_list<std::string> servers);

}  // namespace qlarank

#endif  // QLARANK_CLI_CLIENT_SECURITY_H_
