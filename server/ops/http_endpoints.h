// The HTTP endpoints that operators' tools ask:
//
//   GET /metrics   Prometheus text format
//   GET /livez     200 "ok" while the process answers at all
//   GET /readyz    200 "ok", or 503 and the reason ("loading", "draining")
//
// Anything else is 404, other methods are 405.
#ifndef QLARANK_SERVER_OPS_HTTP_ENDPOINTS_H_
#define QLARANK_SERVER_OPS_HTTP_ENDPOINTS_H_

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "config/host_port.h"
#include "prometheus/collectable.h"
#include "server/ops/health.h"

struct mg_context;

namespace qlarank {

struct HttpResponse {
  int code = 200;
  std::string content_type = "text/plain; charset=utf-8";
  std::string body;
};

class HttpEndpoints {
 public:
  // Listens at `address`, "host:port"; port 0 takes a free one. UNAVAILABLE
  // when that is not possible. `health` and what `collectables` points to are
  // asked from other threads and must outlive this.
  static absl::StatusOr<std::unique_ptr<HttpEndpoints>> Start(
      const std::string& address, const Health& health,
      std::vector<const prometheus::Collectable*> collectables);

  // Stops listening, and waits for requests being answered.
  ~HttpEndpoints();

  HttpEndpoints(const HttpEndpoints&) = delete;
  HttpEndpoints& operator=(const HttpEndpoints&) = delete;

  int port() const { return listening_at_.port; }

  // What a request is answered with.
  HttpResponse Respond(absl::string_view method, absl::string_view path) const;

 private:
  HttpEndpoints(const Health& health,
                std::vector<const prometheus::Collectable*> collectables)
      : health_(health), collectables_(std::move(collectables)) {}

  std::string Metrics() const;

  const Health& health_;
  const std::vector<const prometheus::Collectable*> collectables_;
  mg_context* context_ = nullptr;
  HostPort listening_at_;
};

}  // namespace qlarank

#endif  // QLARANK_SERVER_OPS_HTTP_ENDPOINTS_H_
