#include "server/security/caller_gate.h"

#include <utility>
#include <variant>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "server/ops/logging.h"
#include "server/security/credentials.h"

namespace qlarank {
namespace {

std::string MethodName(const MethodAccess* access) {
  return access == nullptr ? "unknown"
                           : absl::StrCat(access->service, "/", access->method);
}

// Says what to do about it, and nothing of what the server knows.
std::string Explain(Denial denial, const MethodAccess* access,
                    const std::string& caller) {
  switch (denial) {
    case Denial::kNoCredentials:
      return "send the metadata \"authorization: Bearer TOKEN\", or a client "
             "certificate that the server knows";
    case Denial::kMalformed:
      return "the metadata \"authorization\" must be given once, as \"Bearer "
             "TOKEN\"";
    case Denial::kUnknownToken:
      return "the token is not valid";
    case Denial::kExpiredToken:
      return "the token has expired";
    case Denial::kUnknownName:
      return "the client certificate's names are not among those that may call";
    case Denial::kUnknownMethod:
      return "the server has no such method";
    case Denial::kWrongRole:
      return absl::StrCat(MethodName(access), " needs the role ",
                          RoleName(*access->role), ", which \"", caller,
                          "\" does not have");
  }
  return "refused";
}

}  // namespace

grpc::Status CallerGate::Process(const InputMetadata& metadata,
                                 grpc::AuthContext* context,
                                 OutputMetadata* /*consumed_metadata*/,
                                 OutputMetadata* /*response_metadata*/) {
  const auto path = metadata.find(":path");
  const MethodAccess* access =
      path == metadata.end() ? nullptr : FindAccess(AsStringView(path->second));
  if (access != nullptr && !access->role.has_value()) return grpc::Status::OK;

  const auto identity = authenticator_->Identify(
      CredentialsOf(metadata, *context), absl::Now());
  if (const Denial* denial = std::get_if<Denial>(&identity)) {
    return Refuse(*denial, access, "");
  }
  const Caller& caller = std::get<Caller>(identity);
  if (access == nullptr) {
    // As without authentication: clients that ask for the newest of a service
    // first, as grpcurl does for reflection, then try the one we have.
    metrics_.Denied(Denial::kUnknownMethod);
    return grpc::Status(grpc::StatusCode::UNIMPLEMENTED,
                        Explain(Denial::kUnknownMethod, access, caller.name));
  }
  if (!caller.roles.Has(*access->role)) {
    return Refuse(Denial::kWrongRole, access, caller.name);
  }
  return grpc::Status::OK;
}

grpc::Status CallerGate::Refuse(Denial denial, const MethodAccess* access,
                                const std::string& caller_name) {
  metrics_.Denied(denial);
  if (const auto held_back = throttle_.Admit(absl::Now())) {
    LogWarning("call refused", {{"reason", DenialName(denial)},
                                {"method", MethodName(access)},
                                {"caller", caller_name},
                                {"held_back", *held_back}});
  }
  return grpc::Status(denial == Denial::kWrongRole
                          ? grpc::StatusCode::PERMISSION_DENIED
                          : grpc::StatusCode::UNAUTHENTICATED,
                      Explain(denial, access, caller_name));
}

}  // namespace qlarank
