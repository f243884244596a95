// Answers HTTP requests by GNU libmicrohttpd, whatever other connections do: one
// thread serves them all by epoll and never waits for any of them, and what takes
// time to answer is made on a second thread, while its connection is set aside.
//
//   auto server = HttpServer::Start(
//       "listen.http_address", "127.0.0.1:0",
//       [](method, path) -> std::optional<HttpResponse> { ... },
//       [] { return HttpResponse{...}; });
//
// A connection has one request, is closed after 5 s without a byte and, when
// there are too many, by age (http_connections.h).
#ifndef QLARANK_SERVER_OPS_HTTP_SERVER_H_
#define QLARANK_SERVER_OPS_HTTP_SERVER_H_

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "server/ops/http_connections.h"

struct MHD_Connection;
struct MHD_Daemon;

namespace qlarank {

struct HttpResponse {
  int code = 200;
  std::string content_type = "text/plain; charset=utf-8";
  std::string body;
};

class HttpServer {
 public:
  // Connections open at a time. Many times what probes and scrapers need, and
  // little of a process' files.
  static constexpr size_t kMaxConnections = 128;

  // The answer to a request, which must be at hand; nullopt when it takes time.
  using Answer = std::function<std::optional<HttpResponse>(
      absl::string_view method, absl::string_view path)>;
  // What takes time: one answer for all requests that wait for it.
  using SlowAnswer = std::function<HttpResponse()>;

  // Listens at `address`, "host:port"; port 0 takes a free one. UNAVAILABLE when
  // that is not possible, naming `field`.
  static absl::StatusOr<std::unique_ptr<HttpServer>> Start(
      absl::string_view field, const std::string& address, Answer answer,
      SlowAnswer slow_answer);

  // Stops listening and cuts connections off. Waits for a slow answer that is
  // being made.
  ~HttpServer();

  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  int port() const;

 private:
  struct Request;
  struct Callbacks;  // by which the library calls us
  using Shared = std::shared_ptr<const HttpResponse>;

  HttpServer(Answer answer, SlowAnswer slow_answer);

  bool Listen(const std::string& address);
  // Sets the request's connection aside until the slow answer is there; false
  // when it will not be, as the server stops.
  bool SetAside(Request& request) ABSL_LOCKS_EXCLUDED(mutex_);
  void MakeSlowAnswers() ABSL_LOCKS_EXCLUDED(mutex_);
  bool HasWork() const ABSL_SHARED_LOCKS_REQUIRED(mutex_) {
    return stopping_ || !waiting_.empty();
  }

  const Answer answer_;
  const SlowAnswer slow_answer_;
  HttpConnections connections_{kMaxConnections};
  MHD_Daemon* daemon_ = nullptr;

  absl::Mutex mutex_;
  std::vector<Request*> waiting_ ABSL_GUARDED_BY(mutex_);
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread slow_thread_;
};

}  // namespace qlarank

#endif  // QLARANK_SERVER_OPS_HTTP_SERVER_H_
