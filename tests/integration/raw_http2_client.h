// A client of HTTP/2 that sends what it likes, over TCP or TLS, and honours the
// server's windows where it is asked to.
#ifndef QLARANK_TESTS_INTEGRATION_RAW_HTTP2_CLIENT_H_
#define QLARANK_TESTS_INTEGRATION_RAW_HTTP2_CLIENT_H_

#include <openssl/ssl.h>
#include <sys/types.h>

#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "server/security/frame_reader.h"

namespace qlarank::testing {

class RawHttp2Client {
 public:
  // Connects to 127.0.0.1:port and says hello. Dies when it cannot. `from` is
  // the last number of its address, 127.0.0.x.
  RawHttp2Client(int port, bool tls, int from = 1);
  ~RawHttp2Client();

  RawHttp2Client(const RawHttp2Client&) = delete;

  // False when the server has hung up, or does not take the bytes in 30 s.
  bool Send(absl::string_view bytes);

  // Begins a call of the method with that path.
  bool BeginCall(uint32_t stream, const std::string& path);

  // Sends so many bytes of a call's message, all of which the server will take,
  // in DATA frames that its windows allow. False as of Send.
  bool SendData(uint32_t stream, absl::string_view bytes, uint8_t flags = 0);

  // Whether the server hangs up within `timeout`.
  bool EndsWithin(absl::Duration timeout);

  // Whether the call ends within `timeout`.
  bool CallEndsWithin(uint32_t stream, absl::Duration timeout);

 private:
  ssize_t Write(absl::string_view bytes);
  // Takes what the server sent, waiting `timeout` at most for any; and answers.
  void Read(absl::Duration timeout);
  void Pump(absl::Duration timeout);
  void TakeFrame(const FrameHeader& frame);

  int file_;
  SSL_CTX* context_ = nullptr;
  SSL* session_ = nullptr;
  bool ended_ = false;
  FrameReader reader_;
  std::string payload_;
  std::string answers_;  // to SETTINGS and PING
  int64_t window_ = 65'535;
  int64_t initial_window_ = 65'535;
  std::map<uint32_t, int64_t> granted_;  // of calls, beyond the initial window
  std::map<uint32_t, bool> call_ended_;
};

}  // namespace qlarank::testing

#endif  // QLARANK_TESTS_INTEGRATION_RAW_HTTP2_CLIENT_H_
