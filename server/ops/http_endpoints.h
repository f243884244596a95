// The HTTP endpoints that operators' tools ask:
//
//   GET /metrics   Prometheus text format
//   GET /livez     200 "ok" while the process answers at all
//   GET /readyz    200 "ok" while it ranks, or 503 and the reason ("loading",
//                  "draining"). While it ranks and something else is wrong, 200
//                  "degraded"; either way a line follows for each such part:
//                  "writes: writing to the store: the disk is full; ..."
//
// Anything else is 404, other methods are 405. /livez and /readyz are answered
// at once, whatever other connections do or a scrape takes (http_server.h).
#ifndef QLARANK_SERVER_OPS_HTTP_ENDPOINTS_H_
#define QLARANK_SERVER_OPS_HTTP_ENDPOINTS_H_

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "prometheus/collectable.h"
#include "server/ops/health.h"
#include "server/ops/http_server.h"

namespace qlarank {

class HttpEndpoints {
 public:
  // Listens at `address`, "host:port"; port 0 takes a free one. UNAVAILABLE
  // when that is not possible. `health` and what `collectables` points to are
  // asked from other threads and must outlive this.
  static absl::StatusOr<std::unique_ptr<HttpEndpoints>> Start(
      const std::string& address, const Health& health,
      std::vector<const prometheus::Collectable*> collectables);

  int port() const { return server_->port(); }

 private:
  HttpEndpoints(const Health& health,
                std::vector<const prometheus::Collectable*> collectables)
      : health_(health), collectables_(std::move(collectables)) {}

  // nullopt for what takes time: Metrics.
  std::optional<HttpResponse> Respond(absl::string_view method,
                                      absl::string_view path) const;
  HttpResponse Readyz() const;
  HttpResponse Metrics() const;

  const Health& health_;
  const std::vector<const prometheus::Collectable*> collectables_;
  std::unique_ptr<HttpServer> server_;  // last: it asks the others
};

}  // namespace qlarank

#endif  // QLARANK_SERVER_OPS_HTTP_ENDPOINTS_H_
