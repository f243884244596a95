#include "server/metrics/security_metrics.h"

#include "server/metrics/metric_builders.h"

namespace qlarank {

const char* DenialName(Denial denial) {
  switch (denial) {
    case Denial::kNoCredentials:
      return "no_credentials";
    case Denial::kMalformed:
      return "malformed";
    case Denial::kUnknownToken:
      return "unknown_token";
    case Denial::kExpiredToken:
      return "expired_token";
    case Denial::kUnknownName:
      return "unknown_name";
    case Denial::kWrongRole:
      return "wrong_role";
    case Denial::kUnknownMethod:
      return "unknown_method";
  }
  return "unknown";
}

SecurityMetrics::SecurityMetrics(prometheus::Registry& registry)
    : certificate_end_(GaugeFamily(
          registry, "qlarank_tls_certificate_expiry_timestamp_seconds",
          "When the first certificate of a file ends; 0 without TLS.")),
      reloads_(CounterFamily(registry, "qlarank_security_reloads_total",
                             "Changed security files, by what became of it.")),
      refused_(CounterFamily(registry, "qlarank_connections_refused_total",
                             "Connections closed at once, because there were "
                             "too many of the client or of all.")),
      refused_of_client(refused_.Add({{"reason", "client"}})),
      refused_of_all(refused_.Add({{"reason", "all"}})),
      connections_watched(PlainGauge(
          registry, "qlarank_connections_watched",
          "1: attacks on connections are seen before gRPC sees them.")),
      server_certificate_end(certificate_end_.Add({{"certificate", "server"}})),
      client_ca_end(certificate_end_.Add({{"certificate", "client_ca"}})),
      certificates_reloaded(
          reloads_.Add({{"file", "certificates"}, {"result", "ok"}})),
      certificates_refused(
          reloads_.Add({{"file", "certificates"}, {"result", "error"}})),
      tokens_reloaded(reloads_.Add({{"file", "tokens"}, {"result", "ok"}})),
      tokens_refused(reloads_.Add({{"file", "tokens"}, {"result", "error"}})) {
  connections_watched.Set(1);
  auto& denied = CounterFamily(registry, "qlarank_auth_denied_total",
                               "Calls refused before they began, by reason.");
  for (int i = 0; i < kDenials; ++i) {
    denied_[i] =
        &denied.Add({{"reason", DenialName(static_cast<Denial>(i))}});
  }
  auto& cut = CounterFamily(registry, "qlarank_connections_cut_total",
                            "Connections cut for what came on them.");
  for (int i = 1; i < kFaults; ++i) {
    cut_[i] = &cut.Add({{"reason", FaultName(static_cast<Fault>(i))}});
  }
}

}  // namespace qlarank
