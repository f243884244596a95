#include "tests/integration/raw_http2_client.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <openssl/err.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <iostream>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "tests/server/security/http2_frames.h"

namespace qlarank::testing {
namespace {

constexpr size_t kFrameBytes = 16'384;
constexpr unsigned char kAlpn[] = "\2h2";

int ConnectFrom(int from, int port) {
  const int file = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in client = {};
  client.sin_family = AF_INET;
  client.sin_addr.s_addr = htonl(INADDR_LOOPBACK - 1 + from);
  sockaddr_in server = {};
  server.sin_family = AF_INET;
  server.sin_port = htons(static_cast<uint16_t>(port));
  server.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (bind(file, reinterpret_cast<sockaddr*>(&client), sizeof(client)) != 0 ||
      connect(file, reinterpret_cast<sockaddr*>(&server), sizeof(server)) !=
          0) {
    std::cerr << "cannot connect to " << port << "\n";
    std::abort();
  }
  return file;
}

// A header as a literal that goes into no table (RFC 7541, section 6.2.2).
std::string Literal(absl::string_view name, absl::string_view value) {
  return absl::StrCat(std::string(1, '\0'),
                      BigEndian(static_cast<uint32_t>(name.size()), 1), name,
                      BigEndian(static_cast<uint32_t>(value.size()), 1), value);
}

uint32_t Number(absl::string_view bytes) {
  uint32_t number = 0;
  for (const char c : bytes) number = number << 8 | static_cast<uint8_t>(c);
  return number;
}

}  // namespace

RawHttp2Client::RawHttp2Client(int port, bool tls, int from)
    : file_(ConnectFrom(from, port)) {
  // OpenSSL writes to a connection that was cut, too, and means an error.
  std::signal(SIGPIPE, SIG_IGN);
  if (tls) {
    context_ = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_alpn_protos(context_, kAlpn, 3);
    session_ = SSL_new(context_);
    SSL_set_mode(session_, SSL_MODE_ENABLE_PARTIAL_WRITE |
                               SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_set_fd(session_, file_);
    if (SSL_connect(session_) != 1) {
      std::cerr << "TLS does not begin\n";
      std::abort();
    }
  }
  fcntl(file_, F_SETFL, fcntl(file_, F_GETFL) | O_NONBLOCK);
  Send(Hello());
}

RawHttp2Client::~RawHttp2Client() {
  SSL_free(session_);
  SSL_CTX_free(context_);
  close(file_);
}

bool RawHttp2Client::Send(absl::string_view bytes) {
  const absl::Time end = absl::Now() + absl::Seconds(30);
  while (!bytes.empty() && !ended_) {
    const ssize_t sent = Write(bytes);
    if (sent > 0) {
      bytes.remove_prefix(sent);
      continue;
    }
    if (absl::Now() > end) return false;
    Read(absl::Milliseconds(10));
  }
  return !ended_;
}

ssize_t RawHttp2Client::Write(absl::string_view bytes) {
  if (session_ == nullptr) {
    return send(file_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
  }
  ERR_clear_error();
  return SSL_write(session_, bytes.data(), static_cast<int>(bytes.size()));
}

bool RawHttp2Client::BeginCall(uint32_t stream, const std::string& path) {
  return Send(Headers(
      stream, absl::StrCat(Literal(":method", "POST"),
                           Literal(":scheme", "http"), Literal(":path", path),
                           Literal(":authority", "localhost"),
                           Literal("content-type", "application/grpc"),
                           Literal("te", "trailers"))));
}

bool RawHttp2Client::SendData(uint32_t stream, absl::string_view bytes,
                              uint8_t flags) {
  const absl::Time end = absl::Now() + absl::Seconds(30);
  do {
    Pump(absl::ZeroDuration());
    const int64_t window =
        std::min(window_, initial_window_ + granted_[stream]);
    const size_t size = std::min<int64_t>(
        {static_cast<int64_t>(bytes.size()), window, kFrameBytes});
    if (size == 0 && !bytes.empty()) {
      if (ended_ || absl::Now() > end) return false;
      Pump(absl::Milliseconds(10));
      continue;
    }
    const bool last = size == bytes.size();
    if (!Send(Data(stream, bytes.substr(0, size), last ? flags : 0))) {
      return false;
    }
    window_ -= static_cast<int64_t>(size);
    granted_[stream] -= static_cast<int64_t>(size);
    bytes.remove_prefix(size);
  } while (!bytes.empty());
  return true;
}

bool RawHttp2Client::EndsWithin(absl::Duration timeout) {
  const absl::Time end = absl::Now() + timeout;
  while (!ended_ && absl::Now() < end) Pump(absl::Milliseconds(20));
  return ended_;
}

bool RawHttp2Client::CallEndsWithin(uint32_t stream, absl::Duration timeout) {
  const absl::Time end = absl::Now() + timeout;
  while (!ended_ && !call_ended_[stream] && absl::Now() < end) {
    Pump(absl::Milliseconds(20));
  }
  return call_ended_[stream];
}

void RawHttp2Client::Pump(absl::Duration timeout) {
  Read(timeout);
  std::string answers;
  std::swap(answers, answers_);
  Send(answers);
}

void RawHttp2Client::Read(absl::Duration timeout) {
  pollfd ready = {file_, POLLIN, 0};
  if (session_ == nullptr || SSL_pending(session_) == 0) {
    poll(&ready, 1, static_cast<int>(absl::ToInt64Milliseconds(timeout)));
  }
  char buffer[65'536];
  for (;;) {
    ERR_clear_error();
    const auto size =
        session_ == nullptr ? recv(file_, buffer, sizeof(buffer), MSG_DONTWAIT)
                            : SSL_read(session_, buffer, sizeof(buffer));
    if (size <= 0) {
      const bool later =
          session_ == nullptr
              ? size < 0 && (errno == EAGAIN || errno == EINTR)
              : SSL_get_error(session_, static_cast<int>(size)) ==
                    SSL_ERROR_WANT_READ;
      if (!later) ended_ = true;
      break;
    }
    reader_.Read(
        {buffer, static_cast<size_t>(size)},
        [&](const FrameHeader&) { payload_.clear(); },
        [&](absl::string_view piece) { absl::StrAppend(&payload_, piece); },
        [&](const FrameHeader& frame) { TakeFrame(frame); },
        [] { return false; });
  }
}

void RawHttp2Client::TakeFrame(const FrameHeader& frame) {
  const bool flagged = (frame.flags & FrameHeader::kAck) != 0;
  switch (frame.type) {
    case FrameHeader::kWindowUpdate:
      (frame.stream == 0 ? window_ : granted_[frame.stream]) +=
          Number(payload_);
      break;
    case FrameHeader::kSettings:
      if (flagged) break;
      for (size_t at = 0; at + 6 <= payload_.size(); at += 6) {
        // SETTINGS_INITIAL_WINDOW_SIZE
        if (Number(payload_.substr(at, 2)) == 4) {
          initial_window_ = Number(payload_.substr(at + 2, 4));
        }
      }
      answers_ += Frame(FrameHeader::kSettings, FrameHeader::kAck, 0, "");
      break;
    case FrameHeader::kPing:
      if (flagged) break;
      answers_ += Frame(FrameHeader::kPing, FrameHeader::kAck, 0, payload_);
      break;
    case FrameHeader::kResetStream:
      call_ended_[frame.stream] = true;
      break;
    case FrameHeader::kHeaders:
    case FrameHeader::kData:
      if (flagged) call_ended_[frame.stream] = true;
      break;
    default:
      break;
  }
}

}  // namespace qlarank::testing
