#include "server/ops/http_server.h"

#include <microhttpd.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdarg>
#include <cstdio>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "absl/time/clock.h"
#include "config/host_port.h"
#include "server/ops/listen_error.h"
#include "server/ops/log_throttle.h"
#include "server/ops/logging.h"

namespace qlarank {
namespace {

// Of a connection without a byte either way.
constexpr unsigned kTimeoutSeconds = 5;
// The library keeps this many more than we do: one that we cut off counts until
// it has looked at it.
constexpr unsigned kBeingClosed = 64;
// A request's line and headers must fit, and pieces of the answer.
constexpr size_t kConnectionBytes = 16 << 10;

void LogLibraryMessage(void* /*unused*/, const char* format, va_list arguments) {
  static LogThrottle throttle(absl::Seconds(10));
  const auto held_back = throttle.Admit(absl::Now());
  if (!held_back.has_value()) return;
  char text[256];
  vsnprintf(text, sizeof(text), format, arguments);
  LogDebug("http library", {{"text", absl::StripSuffix(text, "\n")},
                            {"held_back", *held_back}});
}

// Sends `response`, which many may be sent at once. MHD_NO cuts the connection
// off.
MHD_Result Queue(MHD_Connection* connection,
                 std::shared_ptr<const HttpResponse> response) {
  const auto release = [](void* owner) {
    delete static_cast<std::shared_ptr<const HttpResponse>*>(owner);
  };
  const int code = response->code;
  const std::string& body = response->body;
  const std::string& content_type = response->content_type;
  auto* owner =
      new std::shared_ptr<const HttpResponse>(std::move(response));
  MHD_Response* reply = MHD_create_response_from_buffer_with_free_callback_cls(
      body.size(), const_cast<char*>(body.data()), release, owner);
  if (reply == nullptr) {
    release(owner);
    return MHD_NO;
  }
  MHD_add_response_header(reply, MHD_HTTP_HEADER_CONTENT_TYPE,
                          content_type.c_str());
  MHD_add_response_header(reply, MHD_HTTP_HEADER_CONNECTION, "close");
  const MHD_Result queued = MHD_queue_response(connection, code, reply);
  MHD_destroy_response(reply);  // which the connection still holds
  return queued;
}

int FileOf(MHD_Connection* connection) {
  return MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)
      ->connect_fd;
}

// An address to listen at. Of a name with several an IPv4 one: probes ask
// there.
const addrinfo& BestOf(const addrinfo& found) {
  for (const addrinfo* one = &found; one != nullptr; one = one->ai_next) {
    if (one->ai_family == AF_INET) return *one;
  }
  return found;
}

}  // namespace

// From its line and headers until its answer has left.
struct HttpServer::Request {
  MHD_Connection* connection;
  Shared slow_answer;  // once it is there
};

struct HttpServer::Callbacks {
  static HttpServer& Self(void* self) { return *static_cast<HttpServer*>(self); }

  // Called when a request's headers are there, then once it is there as a
  // whole, and again for one that was set aside.
  static MHD_Result Handle(void* self, MHD_Connection* connection,
                           const char* path, const char* method,
                           const char* /*version*/, const char* /*body*/,
                           size_t* body_size, void** state) {
    if (*state == nullptr) {
      *state = new Request{connection, nullptr};
      return MHD_YES;
    }
    if (*body_size > 0) {  // nobody asked for one
      *body_size = 0;
      return MHD_YES;
    }
    auto& request = *static_cast<Request*>(*state);
    if (request.slow_answer != nullptr) {
      return Queue(connection, request.slow_answer);
    }
    std::optional<HttpResponse> response = Self(self).answer_(method, path);
    if (!response.has_value()) {
      if (Self(self).SetAside(request)) return MHD_YES;
      response = HttpResponse{.code = 503, .body = "stopping\n"};
    }
    return Queue(connection,
                 std::make_shared<const HttpResponse>(*std::move(response)));
  }

  static void Complete(void* /*self*/, MHD_Connection* /*connection*/,
                       void** state, MHD_RequestTerminationCode /*why*/) {
    delete static_cast<Request*>(*state);
    *state = nullptr;
  }

  static void Notify(void* self, MHD_Connection* connection,
                     void** /*of_the_connection*/,
                     MHD_ConnectionNotificationCode what) {
    HttpConnections& connections = Self(self).connections_;
    const int file = FileOf(connection);
    if (what == MHD_CONNECTION_NOTIFY_CLOSED) return connections.Remove(file);
    const sockaddr* client =
        MHD_get_connection_info(connection,
                                MHD_CONNECTION_INFO_CLIENT_ADDRESS)
            ->client_addr;
    const std::optional<int> to_go =
        connections.Add(HttpClientOf(*client), file);
    // The library notices, and closes it.
    if (to_go.has_value()) shutdown(*to_go, SHUT_RDWR);
  }
};

absl::StatusOr<std::unique_ptr<HttpServer>> HttpServer::Start(
    absl::string_view field, const std::string& address, Answer answer,
    SlowAnswer slow_answer) {
  std::unique_ptr<HttpServer> server(
      new HttpServer(std::move(answer), std::move(slow_answer)));
  if (!server->Listen(address)) return ListenError(field, address);
  return server;
}

HttpServer::HttpServer(Answer answer, SlowAnswer slow_answer)
    : answer_(std::move(answer)),
      slow_answer_(std::move(slow_answer)),
      slow_thread_([this] { MakeSlowAnswers(); }) {}

HttpServer::~HttpServer() {
  // It closes what it listens at only when it stops, and it must not stop while
  // a connection is set aside.
  const int listener = daemon_ == nullptr ? -1 : MHD_quiesce_daemon(daemon_);
  if (listener >= 0) close(listener);
  {
    absl::MutexLock lock(&mutex_);
    stopping_ = true;
  }
  slow_thread_.join();
  if (daemon_ != nullptr) MHD_stop_daemon(daemon_);
}

int HttpServer::port() const {
  return MHD_get_daemon_info(daemon_, MHD_DAEMON_INFO_BIND_PORT)->port;
}

bool HttpServer::Listen(const std::string& address) {
  const std::optional<HostPort> parsed = ParseHostPort(address);
  if (!parsed.has_value()) return false;
  addrinfo hints = {};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE;
  addrinfo* found = nullptr;
  if (getaddrinfo(parsed->host.c_str(), absl::StrCat(parsed->port).c_str(),
                  &hints, &found) != 0) {
    return false;
  }
  const addrinfo& best = BestOf(*found);
  // "[::]" means IPv4 too.
  const unsigned family = best.ai_family == AF_INET6 ? MHD_USE_DUAL_STACK : 0;
  daemon_ = MHD_start_daemon(
      MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME |
          MHD_USE_ERROR_LOG | family,
      parsed->port, nullptr, nullptr, &Callbacks::Handle, this,
      // First: it is told what the others get wrong.
      MHD_OPTION_EXTERNAL_LOGGER, &LogLibraryMessage, nullptr,
      MHD_OPTION_SOCK_ADDR, best.ai_addr,
      MHD_OPTION_CONNECTION_LIMIT,
      static_cast<unsigned>(kMaxConnections) + kBeingClosed,
      MHD_OPTION_CONNECTION_TIMEOUT, kTimeoutSeconds,
      MHD_OPTION_CONNECTION_MEMORY_LIMIT, kConnectionBytes,
      MHD_OPTION_NOTIFY_CONNECTION, &Callbacks::Notify, this,
      MHD_OPTION_NOTIFY_COMPLETED, &Callbacks::Complete, this, MHD_OPTION_END);
  freeaddrinfo(found);
  return daemon_ != nullptr;
}

bool HttpServer::SetAside(Request& request) {
  absl::MutexLock lock(&mutex_);
  if (stopping_) return false;
  MHD_suspend_connection(request.connection);
  waiting_.push_back(&request);
  return true;
}

void HttpServer::MakeSlowAnswers() {
  for (;;) {
    std::vector<Request*> requests;
    {
      absl::MutexLock lock(&mutex_);
      mutex_.Await(absl::Condition(this, &HttpServer::HasWork));
      if (waiting_.empty()) return;
      requests.swap(waiting_);
    }
    const Shared answer = std::make_shared<const HttpResponse>(slow_answer_());
    for (Request* request : requests) {
      request->slow_answer = answer;
      // From here on it is the other thread's, and may be gone.
      MHD_resume_connection(request->connection);
    }
  }
}

}  // namespace qlarank
