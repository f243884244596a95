#include "server/ops/http_endpoints.h"

#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "civetweb.h"
#include "prometheus/metric_family.h"
#include "prometheus/text_serializer.h"
#include "server/ops/listen_error.h"
#include "server/ops/log_throttle.h"
#include "server/ops/logging.h"

namespace qlarank {
namespace {

const char* ReasonPhrase(int code) {
  switch (code) {
    case 200:
      return "OK";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    default:
      return "Service Unavailable";
  }
}

// Called by CivetWeb for every request, on one of its threads.
int HandleRequest(mg_connection* connection) {
  const mg_request_info& request = *mg_get_request_info(connection);
  const auto& endpoints = *static_cast<const HttpEndpoints*>(request.user_data);
  // "OPTIONS *" has no path.
  const char* path = request.local_uri == nullptr ? "" : request.local_uri;
  const HttpResponse response = endpoints.Respond(request.request_method, path);
  const std::string head =
      absl::StrCat("HTTP/1.1 ", response.code, " ", ReasonPhrase(response.code),
                   "\r\nContent-Type: ", response.content_type,
                   "\r\nContent-Length: ", response.body.size(),
                   "\r\nConnection: close\r\n\r\n");
  mg_write(connection, head.data(), head.size());
  if (absl::string_view(request.request_method) != "HEAD") {
    mg_write(connection, response.body.data(), response.body.size());
  }
  return response.code;
}

// CivetWeb looks whether it should stop when somebody connects, and else every
// two seconds. So somebody connects, until it has stopped.
void StopSoon(mg_context* context, const HostPort& address) {
  absl::Notification stopped;
  std::thread caller([&] {
    do {
      char error[256];
      mg_connection* connection = mg_connect_client(
          address.host.c_str(), address.port, 0, error, sizeof(error));
      if (connection != nullptr) mg_close_connection(connection);
    } while (!stopped.WaitForNotificationWithTimeout(absl::Milliseconds(10)));
  });
  mg_stop(context);
  stopped.Notify();
  caller.join();
}

int LogCivetMessage(const mg_connection*, const char* message) {
  static LogThrottle throttle(absl::Seconds(10));
  if (const auto held_back = throttle.Admit(absl::Now())) {
    LogDebug("http library", {{"text", message}, {"held_back", *held_back}});
  }
  return 1;  // It has been dealt with.
}

}  // namespace

absl::StatusOr<std::unique_ptr<HttpEndpoints>> HttpEndpoints::Start(
    const std::string& address, const Health& health,
    std::vector<const prometheus::Collectable*> collectables) {
  mg_init_library(MG_FEATURES_DEFAULT);  // counts its callers
  std::unique_ptr<HttpEndpoints> endpoints(
      new HttpEndpoints(health, std::move(collectables)));
  mg_callbacks callbacks = {};
  callbacks.begin_request = &HandleRequest;
  callbacks.log_message = &LogCivetMessage;
  // Enough threads that a slow scraper does not keep /livez waiting.
  const char* options[] = {
      "listening_ports",    address.c_str(), "num_threads", "4",
      "request_timeout_ms", "5000",          nullptr};
  endpoints->context_ = mg_start(&callbacks, endpoints.get(), options);
  if (endpoints->context_ == nullptr) {
    return ListenError("listen.http_address", address);
  }
  mg_server_port port = {};
  mg_get_server_ports(endpoints->context_, 1, &port);
  if (const auto parsed = ParseHostPort(address)) {
    endpoints->listening_at_ = *parsed;
  }
  endpoints->listening_at_.port = static_cast<uint16_t>(port.port);
  return endpoints;
}

HttpEndpoints::~HttpEndpoints() {
  if (context_ != nullptr) StopSoon(context_, listening_at_);
  mg_exit_library();
}

HttpResponse HttpEndpoints::Respond(absl::string_view method,
                                    absl::string_view path) const {
  if (method != "GET" && method != "HEAD") {
    return {.code = 405, .body = "only GET and HEAD\n"};
  }
  if (path == "/livez") return {.body = "ok\n"};
  if (path == "/readyz") {
    const Readiness readiness = health_.readiness();
    if (readiness.ready) return {.body = "ok\n"};
    return {.code = 503, .body = absl::StrCat(readiness.reason, "\n")};
  }
  if (path == "/metrics") {
    return {.content_type = "text/plain; version=0.0.4; charset=utf-8",
            .body = Metrics()};
  }
  return {.code = 404, .body = "try /metrics, /livez or /readyz\n"};
}

std::string HttpEndpoints::Metrics() const {
  std::vector<prometheus::MetricFamily> families;
  for (const prometheus::Collectable* collectable : collectables_) {
    for (prometheus::MetricFamily& family : collectable->Collect()) {
      families.push_back(std::move(family));
    }
  }
  return prometheus::TextSerializer().Serialize(families);
}

}  // namespace qlarank
