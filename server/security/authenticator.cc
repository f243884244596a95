#include "server/security/authenticator.h"

#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/strip.h"

namespace qlarank {

Authenticator::Authenticator(
    const std::vector<ClientNameOptions>& client_names) {
  for (const ClientNameOptions& client : client_names) {
    roles_by_name_[client.name] = client.roles;
  }
}

void Authenticator::SetTokens(std::shared_ptr<const TokenTable> tokens) {
  absl::MutexLock lock(&mutex_);
  tokens_ = std::move(tokens);
}

std::variant<Caller, Denial> Authenticator::Identify(
    const Credentials& credentials, absl::Time now) const {
  if (!credentials.authorization.empty()) return ByToken(credentials, now);
  if (!credentials.names.empty()) return ByName(credentials);
  return Denial::kNoCredentials;
}

std::variant<Caller, Denial> Authenticator::ByToken(
    const Credentials& credentials, absl::Time now) const {
  constexpr absl::string_view kScheme = "Bearer ";
  absl::string_view token = credentials.authorization.front();
  if (credentials.authorization.size() > 1 ||
      !absl::StartsWithIgnoreCase(token, kScheme)) {
    return Denial::kMalformed;
  }
  token.remove_prefix(kScheme.size());
  std::shared_ptr<const TokenTable> tokens;
  {
    absl::ReaderMutexLock lock(&mutex_);
    tokens = tokens_;
  }
  if (tokens == nullptr) return Denial::kUnknownToken;
  const TokenTable::Found found = tokens->Find(token, now);
  switch (found.match) {
    case TokenTable::Match::kUnknown:
      return Denial::kUnknownToken;
    case TokenTable::Match::kExpired:
      return Denial::kExpiredToken;
    case TokenTable::Match::kValid:
      return *found.caller;
  }
  return Denial::kUnknownToken;
}

std::variant<Caller, Denial> Authenticator::ByName(
    const Credentials& credentials) const {
  Caller caller;
  for (const absl::string_view name : credentials.names) {
    const auto found = roles_by_name_.find(name);
    if (found == roles_by_name_.end()) continue;
    if (caller.name.empty()) caller.name = found->first;
    caller.roles.Add(found->second);
  }
  if (caller.name.empty()) return Denial::kUnknownName;
  return caller;
}

}  // namespace qlarank
