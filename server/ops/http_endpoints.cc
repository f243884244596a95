#include "server/ops/http_endpoints.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "prometheus/metric_family.h"
#include "prometheus/text_serializer.h"

namespace qlarank {

absl::StatusOr<std::unique_ptr<HttpEndpoints>> HttpEndpoints::Start(
    const std::string& address, const Health& health,
    std::vector<const prometheus::Collectable*> collectables) {
  std::unique_ptr<HttpEndpoints> endpoints(
      new HttpEndpoints(health, std::move(collectables)));
  const HttpEndpoints& self = *endpoints;
  auto server = HttpServer::Start(
      "listen.http_address", address,
      [&self](absl::string_view method, absl::string_view path) {
        return self.Respond(method, path);
      },
      [&self] { return self.Metrics(); });
  if (!server.ok()) return server.status();
  endpoints->server_ = *std::move(server);
  return endpoints;
}

std::optional<HttpResponse> HttpEndpoints::Respond(
    absl::string_view method, absl::string_view path) const {
  if (method != "GET" && method != "HEAD") {
    return HttpResponse{.code = 405, .body = "only GET and HEAD\n"};
  }
  if (path == "/metrics") return std::nullopt;
  if (path == "/livez") return HttpResponse{.body = "ok\n"};
  if (path == "/readyz") {
    return Readyz();
  }
  return HttpResponse{.code = 404,
                      .body = "try /metrics, /livez or /readyz\n"};
}

HttpResponse HttpEndpoints::Readyz() const {
  const Readiness readiness = health_.readiness();
  HttpResponse response;
  if (!readiness.ready) {
    response.code = 503;
    response.body = readiness.reason;
  } else {
    response.body = readiness.degraded.empty() ? "ok" : "degraded";
  }
  for (const std::string& part : readiness.degraded) {
    absl::StrAppend(&response.body, "\n", part);
  }
  response.body += "\n";
  return response;
}

HttpResponse HttpEndpoints::Metrics() const {
  std::vector<prometheus::MetricFamily> families;
  for (const prometheus::Collectable* collectable : collectables_) {
    for (prometheus::MetricFamily& family : collectable->Collect()) {
      families.push_back(std::move(family));
    }
  }
  return {.content_type = "text/plain; version=0.0.4; charset=utf-8",
          .body = prometheus::TextSerializer().Serialize(families)};
}

}  // namespace qlarank
