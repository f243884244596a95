#include "config/security_from_proto.h"

#include <limits>
#include <optional>
#include <set>
#include <string>

#include "config/host_port.h"
#include "config/roles.h"

namespace qlarank {
namespace {

namespace proto = config::v1;

TlsOptions TlsFromProto(const proto::TlsConfig& config, Problems& problems) {
  TlsOptions options;
  options.certificate_file = config.certificate_file();
  options.private_key_file = config.private_key_file();
  options.client_ca_file = config.client_ca_file();
  options.require_client_certificate = config.require_client_certificate();
  if (options.certificate_file.empty() != options.private_key_file.empty()) {
    problems.AddQuoted(options.certificate_file.empty()
                           ? "security.tls.certificate_file"
                           : "security.tls.private_key_file",
                       "",
                       "is required: a certificate and its key go together");
  }
  if (!options.client_ca_file.empty() && !options.enabled()) {
    problems.AddQuoted("security.tls.client_ca_file", options.client_ca_file,
                       "needs security.tls.certificate_file");
  }
  if (options.require_client_certificate && options.client_ca_file.empty()) {
    problems.Add("security.tls.require_client_certificate", "true",
                 "needs security.tls.client_ca_file");
  }
  return options;
}

ClientNameOptions ClientNameFromProto(const proto::ClientNameConfig& config,
                                      const std::string& field,
                                      Problems& problems) {
  ClientNameOptions options;
  options.name = config.name();
  if (options.name.empty()) {
    problems.AddQuoted(field + ".name", "", "is required");
  }
  const std::optional<RoleSet> roles = RolesFromProto(config.roles());
  if (!roles.has_value() || roles->empty()) {
    problems.Add(field + ".roles", roles.has_value() ? "none" : "unknown",
                 kRolesRule);
  } else {
    options.roles = *roles;
  }
  return options;
}

bool IsLoopbackAddress(const std::string& address) {
  const std::optional<HostPort> parsed = ParseHostPort(address);
  // What is no address has been reported.
  return !parsed.has_value() || IsLoopback(parsed->host);
}

}  // namespace

SecurityOptions SecurityFromProto(const proto::SecurityConfig& config,
                                  Problems& problems) {
  SecurityOptions options;
  options.tls = TlsFromProto(config.tls(), problems);
  options.token_file = config.token_file();
  std::set<std::string> names;
  for (int i = 0; i < config.client_names_size(); ++i) {
    const std::string field = absl::StrCat("security.client_names[", i, "]");
    options.client_names.push_back(
        ClientNameFromProto(config.client_names(i), field, problems));
    const std::string& name = options.client_names.back().name;
    if (!name.empty() && !names.insert(name).second) {
      problems.AddQuoted(field + ".name", name, "is there already");
    }
  }
  if (!options.client_names.empty() && options.tls.client_ca_file.empty()) {
    problems.Add("security.client_names",
                 absl::StrCat(options.client_names.size()),
                 "needs security.tls.client_ca_file");
  }
  if (config.has_reload_interval()) {
    SetDuration(config.reload_interval(), options.reload_interval,
                "security.reload_interval", problems);
    if (options.reload_interval < absl::Seconds(1)) {
      problems.Add("security.reload_interval",
                   absl::FormatDuration(options.reload_interval),
                   "must be at least 1 s");
    }
  }
  return options;
}

ConnectionsOptions ConnectionsFromProto(const proto::ConnectionsConfig& config,
                                        Problems& problems) {
  // gRPC holds it in an int.
  constexpr uint32_t kMaxInt = std::numeric_limits<int32_t>::max();
  ConnectionsOptions options;
  SetUnlessZero(config.max_per_client(), options.max_per_client);
  SetUnlessZero(config.max_total(), options.max_total);
  SetUnlessZero(config.max_streams(), options.max_streams, kMaxInt,
                "connections.max_streams", problems);
  const auto set = [&](bool written, const google::protobuf::Duration& value,
                       absl::Duration& option, absl::string_view field) {
    if (written) SetDuration(value, option, field, problems);
  };
  set(config.has_keepalive_time(), config.keepalive_time(),
      options.keepalive_time, "connections.keepalive_time");
  set(config.has_keepalive_timeout(), config.keepalive_timeout(),
      options.keepalive_timeout, "connections.keepalive_timeout");
  set(config.has_max_idle(), config.max_idle(), options.max_idle,
      "connections.max_idle");
  set(config.has_max_age(), config.max_age(), options.max_age,
      "connections.max_age");
  return options;
}

void ValidateExposure(const ServerOptions& options, Problems& problems) {
  const bool tls = options.security.tls.enabled();
  const bool authenticates = options.security.authenticates();
  if (authenticates && !tls &&
      !IsLoopbackAddress(options.listen.grpc_address)) {
    problems.AddQuoted("listen.grpc_address", options.listen.grpc_address,
                       "must be a loopback address: without security.tls, "
                       "tokens would cross the network in the clear");
  }
  if (!(tls && authenticates) &&
      !IsLoopbackAddress(options.listen.admin_address)) {
    problems.AddQuoted("listen.admin_address", options.listen.admin_address,
                       "must be a loopback address without security.tls and "
                       "one of security.token_file and security.client_names");
  }
}

}  // namespace qlarank
