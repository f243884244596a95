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
    const Readiness readiness = health_.readiness();
    if (readiness.ready) return HttpResponse{.body = "ok\n"};
    return HttpResponse{.code = 503,
                        .body = absl::StrCat(readiness.reason, "\n")};
  }
  return HttpResponse{.code = 404,
                      .body = "try /metrics, /livez or /readyz\n"};
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
