#include "server/security/security.h"

#include <optional>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "config/host_port.h"
#include "config/read_file.h"
#include "grpcpp/security/tls_certificate_provider.h"
#include "grpcpp/security/tls_credentials_options.h"
#include "server/ops/logging.h"
#include "server/security/caller_gate.h"

namespace qlarank {
namespace {

std::shared_ptr<grpc::ServerCredentials> TlsCredentials(
    const TlsOptions& tls, absl::Duration reload_interval) {
  using ::grpc::experimental::FileWatcherCertificateProvider;
  using ::grpc::experimental::TlsServerCredentialsOptions;
  TlsServerCredentialsOptions options(
      std::make_shared<FileWatcherCertificateProvider>(
          tls.private_key_file, tls.certificate_file, tls.client_ca_file,
          absl::ToInt64Seconds(reload_interval)));
  options.watch_identity_key_cert_pairs();
  if (!tls.client_ca_file.empty()) {
    options.watch_root_certs();
    options.set_cert_request_type(
        tls.require_client_certificate
            ? GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY
            : GRPC_SSL_REQUEST_CLIENT_CERTIFICATE_AND_VERIFY);
  }
  return grpc::experimental::TlsServerCredentials(options);
}

FileStamps StampsOf(const TlsOptions& tls) {
  return {StampOf(tls.certificate_file), StampOf(tls.private_key_file),
          StampOf(tls.client_ca_file)};
}

}  // namespace

absl::StatusOr<std::unique_ptr<Security>> Security::Create(
    const ServerOptions& options, SecurityMetrics& metrics, Health& health) {
  std::unique_ptr<Security> security(new Security(options, metrics, health));
  absl::Status status = security->LoadTokens();
  if (!status.ok()) return status;
  status = security->CheckCertificates();
  if (!status.ok()) return status;
  security->WarnOfExposure(options.listen);
  security->reloading_ = std::make_unique<PeriodicTask>(
      options.security.reload_interval,
      [security = security.get()] { security->Reload(); });
  return security;
}

Security::Security(const ServerOptions& options, SecurityMetrics& metrics,
                   Health& health)
    : options_(options.security),
      metrics_(metrics),
      health_(health),
      authenticator_(
          std::make_shared<Authenticator>(options.security.client_names)) {}

std::shared_ptr<grpc::ServerCredentials> Security::Credentials() const {
  if (!options_.tls.enabled() && !options_.authenticates()) {
    return grpc::InsecureServerCredentials();
  }
  // In the clear only from this machine: these refuse every other peer.
  std::shared_ptr<grpc::ServerCredentials> credentials =
      options_.tls.enabled()
          ? TlsCredentials(options_.tls, options_.reload_interval)
          : grpc::experimental::LocalServerCredentials(LOCAL_TCP);
  if (options_.authenticates()) {
    credentials->SetAuthMetadataProcessor(
        std::make_shared<CallerGate>(authenticator_, metrics_));
  }
  return credentials;
}

std::shared_ptr<const Authenticator> Security::authenticator() const {
  if (!options_.tls.enabled() && !options_.authenticates()) return nullptr;
  return authenticator_;
}

absl::StatusOr<TokenTable> ReadTokenFile(const SecurityOptions& options) {
  const absl::StatusOr<std::string> text = ReadWholeFile(
      options.token_file,
      absl::StrCat("security.token_file: \"", options.token_file, "\""));
  if (!text.ok()) return text.status();
  return TokenTable::Parse(
      *text, absl::StrCat("security.token_file: ", options.token_file));
}

absl::Status Security::LoadTokens() {
  if (options_.token_file.empty()) return absl::OkStatus();
  // Before it is read: what changes meanwhile is read again.
  tokens_stamp_ = StampOf(options_.token_file);
  absl::StatusOr<TokenTable> table = ReadTokenFile(options_);
  if (!table.ok()) return table.status();
  authenticator_->SetTokens(
      std::make_shared<const TokenTable>(*std::move(table)));
  return absl::OkStatus();
}

absl::Status Security::CheckCertificates() {
  if (!options_.tls.enabled()) return absl::OkStatus();
  certificate_stamps_ = StampsOf(options_.tls);
  const absl::StatusOr<CertificateExpiry> expiry =
      CheckCertificateFiles(options_.tls, absl::Now());
  if (!expiry.ok()) return expiry.status();
  metrics_.server_certificate_end.Set(absl::ToDoubleSeconds(
      expiry->server - absl::UnixEpoch()));
  if (expiry->client_ca.has_value()) {
    metrics_.client_ca_end.Set(
        absl::ToDoubleSeconds(*expiry->client_ca - absl::UnixEpoch()));
  }
  return absl::OkStatus();
}

void Security::Reload() {
  const auto report = [this](Part part, const absl::Status& status,
                             absl::string_view in_use,
                             prometheus::Counter& taken,
                             prometheus::Counter& refused) {
    if (status.ok()) {
      taken.Increment();
      health_.Restore(part);
      LogInfo("security file has changed", {{"file", PartName(part)}});
    } else {
      refused.Increment();
      // Anyone may read it: without what the file is called or holds.
      health_.Degrade(part, absl::StrCat("the changed file is wrong, the log "
                                         "says why; ", in_use));
      LogError("changed security file is wrong",
               {{"file", PartName(part)}, {"error", status}});
    }
  };
  if (!options_.token_file.empty() &&
      StampOf(options_.token_file) != tokens_stamp_) {
    report(Part::kTokens, LoadTokens(),
           "the tokens of the one before stay valid", metrics_.tokens_reloaded,
           metrics_.tokens_refused);
  }
  if (options_.tls.enabled() &&
      StampsOf(options_.tls) != certificate_stamps_) {
    report(Part::kCertificates, CheckCertificates(),
           "new connections may fail", metrics_.certificates_reloaded,
           metrics_.certificates_refused);
  }
}

void Security::WarnOfExposure(const ListenOptions& listen) const {
  const std::optional<HostPort> address = ParseHostPort(listen.grpc_address);
  if (!address.has_value() || IsLoopback(address->host) ||
      (options_.tls.enabled() && options_.authenticates())) {
    return;
  }
  LogWarning("anyone who reaches the address may call or listen in",
             {{"address", listen.grpc_address},
              {"tls", options_.tls.enabled()},
              {"authentication", options_.authenticates()}});
}

}  // namespace qlarank
