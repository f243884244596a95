// A real server with TLS and authentication, and callers of every kind that it
// meets: each with a channel and metadata of its own.
#ifndef QLARANK_TESTS_INTEGRATION_SECURE_SERVER_H_
#define QLARANK_TESTS_INTEGRATION_SECURE_SERVER_H_

#include <memory>
#include <string>
#include <vector>

#include "config/server_options.h"
#include "grpcpp/channel.h"
#include "grpcpp/security/credentials.h"
#include "grpcpp/support/status.h"
#include "server/security/access_table.h"
#include "server/server.h"
#include "tests/testing/certificates.h"
#include "tests/testing/temp_dir.h"

namespace qlarank::testing {


// The line of a token file for a token of that name, worth `secret`.
std::string TokenEntry(const std::string& name, const std::string& secret,
                       const std::string& roles_and_more);

// The token of that name: there are "rank", "ingest" and "admin" with the role
// of their name, "twice" with the first two, and "expired", which had all.
std::string SecretOf(const std::string& name);

class SecureServer {
 public:
  // Certificates and tokens, in a folder of the test's own; no server yet.
  SecureServer();

  // TLS that asks for client certificates, tokens, and the client certificate
  // name "ranker.internal" with the role rank. To be changed before Start.
  ServerOptions& options() { return options_; }
  const TestAuthority& authority() const { return authority_; }
  std::string Path(const std::string& name) const { return dir_.Path(name); }

  void Start();
  void Stop();
  Server& server() { return *server_; }

  // A channel of its own to a listener, at "localhost".
  std::shared_ptr<grpc::Channel> Connect(
      Listener listener,
      const std::shared_ptr<grpc::ChannelCredentials>& credentials) const;

  // TLS that trusts our authority, without and with a client certificate.
  std::shared_ptr<grpc::ChannelCredentials> Tls() const;
  std::shared_ptr<grpc::ChannelCredentials> Tls(const KeyPair& client) const;

 private:
  TempDir dir_;
  const TestAuthority authority_;
  const KeyPair pair_;
  ServerOptions options_;
  std::unique_ptr<Server> server_;
};

// Calls a method by its path with an empty message, whatever its type. With
// `authorization`, unless it is empty. Ends within seconds.
grpc::Status Call(const std::shared_ptr<grpc::Channel>& channel,
                  const std::string& path, const std::string& authorization);

// The paths of all methods of all services that the endpoint says it serves,
// by reflection; of services whose descriptors are nowhere, those of the access
// table.
std::vector<std::string> ListMethods(
    const std::shared_ptr<grpc::Channel>& channel,
    const std::string& authorization);

}  // namespace qlarank::testing

#endif  // QLARANK_TESTS_INTEGRATION_SECURE_SERVER_H_
