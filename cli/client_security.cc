#include "cli/client_security.h"

#include <fstream>
#include <sstream>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "config/host_port.h"

namespace qlarank {
namespace {

absl::StatusOr<std::string> Read(const char* option, const std::string& path) {
  if (path.empty()) return std::string();
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  if (file && text && !text.str().empty()) return text.str();
  return absl::InvalidArgumentError(
      absl::StrCat(option, ": \"", path, "\" cannot be read, or is empty"));
}

absl::StatusOr<std::string> ReadToken(const std::string& path) {
  absl::StatusOr<std::string> text = Read("--token-file", path);
  if (!text.ok()) return text;
  absl::StripAsciiWhitespace(&*text);
  // It goes into a header of one line.
  for (const char c : *text) {
    if (!absl::ascii_isgraph(c)) {
      return absl::InvalidArgumentError(absl::StrCat(
          "--token-file: \"", path, "\" holds more than one token"));
    }
  }
  return text;
}

bool IsLoopbackServer(const std::string& server) {
  const auto address = ParseHostPort(server);
  return address.has_value() && IsLoopback(address->host);
}

}  // namespace

absl::StatusOr<ClientSecurity> LoadClientSecurity(
    const SecurityFiles& files, std::initializer_list<std::string> servers) {
  if (files.tls_cert.empty() != files.tls_key.empty()) {
    return absl::InvalidArgumentError(
        "--tls-cert and --tls-key go together: one of them is missing");
  }
  if (!files.tls_cert.empty() && files.tls_ca.empty()) {
    return absl::InvalidArgumentError("--tls-cert needs --tls-ca");
  }
  const auto ca = Read("--tls-ca", files.tls_ca);
  if (!ca.ok()) return ca.status();
  const auto cert = Read("--tls-cert", files.tls_cert);
  if (!cert.ok()) return cert.status();
  const auto key = Read("--tls-key", files.tls_key);
  if (!key.ok()) return key.status();
  const auto token = ReadToken(files.token);
  if (!token.ok()) return token.status();

  ClientSecurity security;
  security.token = *token;
  if (!ca->empty()) {
    security.credentials = grpc::SslCredentials({*ca, *key, *cert});
    return security;
  }
  for (const std::string& server : servers) {
    if (!token->empty() && !IsLoopbackServer(server)) {
      return absl::InvalidArgumentError(
          absl::StrCat("--token-file needs --tls-ca: without TLS, the token "
                       "would cross the network to \"",
                       server, "\" in the clear"));
    }
  }
  return security;
}

}  // namespace qlarank
