// What authentication and TLS count. Thread-safe; handles live as long as the
// registry.
#ifndef QLARANK_SERVER_METRICS_SECURITY_METRICS_H_
#define QLARANK_SERVER_METRICS_SECURITY_METRICS_H_

#include <array>

#include "prometheus/counter.h"
#include "prometheus/family.h"
#include "prometheus/gauge.h"
#include "prometheus/registry.h"
#include "server/metrics/connection_fault.h"

namespace qlarank {

// Why a call was refused before it began.
enum class Denial {
  kNoCredentials,  // neither a token nor a certificate
  kMalformed,      // an "authorization" that is no bearer token, or two
  kUnknownToken,
  kExpiredToken,
  kUnknownName,    // a certificate none of whose names is configured
  kWrongRole,      // known, and not allowed this method
  kUnknownMethod,  // known; the method is not in the access table
};
inline constexpr int kDenials = 7;

// "no_credentials" and so on: the metric's label, and what logs say.
const char* DenialName(Denial denial);

class SecurityMetrics {
 private:
  prometheus::Family<prometheus::Gauge>& certificate_end_;
  prometheus::Family<prometheus::Counter>& reloads_;
  prometheus::Family<prometheus::Counter>& refused_;
  std::array<prometheus::Counter*, kDenials> denied_;
  std::array<prometheus::Counter*, kFaults> cut_;

 public:
  // `registry` must outlive this.
  explicit SecurityMetrics(prometheus::Registry& registry);

  // qlarank_auth_denied_total{reason}: calls refused before they began. They
  // are not among grpc_server_started_total.
  void Denied(Denial denial) {
    denied_[static_cast<int>(denial)]->Increment();
  }

  // qlarank_connections_refused_total{reason}: closed at once, because their
  // client's address had connections.max_per_client, or all clients together
  // connections.max_total.
  prometheus::Counter& refused_of_client;
  prometheus::Counter& refused_of_all;

  // qlarank_connections_cut_total{reason}: for what came on them. Not of kNone.
  void ConnectionCut(Fault fault) {
    cut_[static_cast<int>(fault)]->Increment();
  }

  // qlarank_connections_watched: 0 when what clients send is not seen before
  // gRPC sees it; that is tried out at start.
  prometheus::Gauge& connections_watched;

  // qlarank_tls_certificate_expiry_timestamp_seconds{certificate}: the first
  // end of a certificate in the file, in seconds since 1970; 0 without TLS.
  prometheus::Gauge& server_certificate_end;
  prometheus::Gauge& client_ca_end;

  // qlarank_security_reloads_total{file,result}: how often a changed file was
  // taken, or found to be wrong.
  prometheus::Counter& certificates_reloaded;
  prometheus::Counter& certificates_refused;
  prometheus::Counter& tokens_reloaded;
  prometheus::Counter& tokens_refused;
};

}  // namespace qlarank

#endif  // QLARANK_SERVER_METRICS_SECURITY_METRICS_H_
