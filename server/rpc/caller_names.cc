#include "server/rpc/caller_names.h"

#include <arpa/inet.h>

#include <variant>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/strip.h"
#include "absl/time/clock.h"
#include "server/ops/client_network.h"
#include "server/security/credentials.h"

namespace qlarank {
namespace {

// "2001:db8::" of "[2001:db8::7]"; as it is when that is no address.
std::string NetworkOf(absl::string_view bracketed) {
  absl::string_view text = absl::StripSuffix(
      absl::StripPrefix(bracketed, "["), "]");
  const std::string digits(text.substr(0, text.find('%')));  // without a zone
  in6_addr address;
  char network[INET6_ADDRSTRLEN];
  if (inet_pton(AF_INET6, digits.c_str(), &address) != 1) {
    return std::string(text);
  }
  KeepNetwork(address);
  return inet_ntop(AF_INET6, &address, network, sizeof(network));
}

}  // namespace

std::string HostOfPeer(absl::string_view peer) {
  if (!absl::StartsWith(peer, "ip")) return std::string(peer);
  peer = peer.substr(0, peer.rfind(':'));
  if (!absl::ConsumePrefix(&peer, "ipv6:")) return std::string(peer);
  return absl::StrCat(
      "ipv6:", NetworkOf(absl::StrReplaceAll(
                   peer, {{"%5B", "["}, {"%5D", "]"}, {"%25", "%"}})));
}

std::string CallerNames::Principal(
    const grpc::ServerContextBase& context) const {
  if (authenticator_ == nullptr) return "";
  const auto auth = context.auth_context();
  if (auth == nullptr) return "";
  // The gate let the call pass; a token may have expired since.
  const Credentials credentials =
      CredentialsOf(context.client_metadata(), *auth);
  const auto identity = authenticator_->Identify(credentials, absl::Now());
  if (const auto* caller = std::get_if<Caller>(&identity)) return caller->name;
  return credentials.names.empty() ? "" : std::string(credentials.names[0]);
}

std::string CallerNames::Client(const grpc::ServerContextBase& context) const {
  const std::string principal = Principal(context);
  return principal.empty() ? HostOfPeer(context.peer())
                           : absl::StrCat("name:", principal);
}

}  // namespace qlarank
