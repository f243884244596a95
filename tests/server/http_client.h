// The least HTTP client that a test needs.
#ifndef QLARANK_TESTS_SERVER_HTTP_CLIENT_H_
#define QLARANK_TESTS_SERVER_HTTP_CLIENT_H_

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace qlarank {

struct HttpReply {
  int code = 0;  // 0: no connection, or no reply
  std::string head;
  std::string body;
};

// A connection to 127.0.0.1:port, to be used as badly as a test likes. Closed
// with the object.
class HttpConnection {
 public:
  explicit HttpConnection(int port)
      : file_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    connected_ = connect(file_, reinterpret_cast<sockaddr*>(&address),
                         sizeof(address)) == 0;
  }
  HttpConnection(HttpConnection&& other) noexcept
      : file_(std::exchange(other.file_, -1)), connected_(other.connected_) {}
  ~HttpConnection() {
    if (file_ >= 0) close(file_);
  }

  void Send(absl::string_view bytes) {
    if (connected_) send(file_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
  }

  // What comes until the server closes the connection.
  std::string ReadAll() {
    std::string reply;
    char buffer[4096];
    ssize_t size;
    while (connected_ &&
           (size = recv(file_, buffer, sizeof(buffer), 0)) > 0) {
      reply.append(buffer, size);
    }
    return reply;
  }

 private:
  int file_;
  bool connected_;
};

// Asks 127.0.0.1:port and reads until the server closes the connection.
inline HttpReply HttpRequest(absl::string_view method, int port,
                             absl::string_view path) {
  HttpConnection connection(port);
  connection.Send(
      absl::StrCat(method, " ", path, " HTTP/1.1\r\nHost: test\r\n\r\n"));
  const std::string reply = connection.ReadAll();
  HttpReply parsed;
  const size_t end = reply.find("\r\n\r\n");
  if (end == std::string::npos) return parsed;
  parsed.head = reply.substr(0, end);
  parsed.body = reply.substr(end + 4);
  // "HTTP/1.1 200 OK"
  (void)absl::SimpleAtoi(reply.substr(9, 3), &parsed.code);
  return parsed;
}

inline HttpReply HttpGet(int port, absl::string_view path) {
  return HttpRequest("GET", port, path);
}

}  // namespace qlarank

#endif  // QLARANK_TESTS_SERVER_HTTP_CLIENT_H_
