#include "bench/load/connection.h"

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <iterator>
#include <utility>

#include "absl/memory/memory.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "bench/load/tcp_connect.h"

namespace qlarank::bench {
namespace {

constexpr int kUnknown = 2, kUnavailable = 14;  // gRPC's codes
// Replies never wait for room at this end.
constexpr int32_t kStreamWindow = 4 << 20;
constexpr int32_t kConnectionWindow = 64 << 20;
constexpr size_t kReadBytes = 256 << 10;
// What is made ahead of what the socket takes.
constexpr size_t kUnsentBytes = 1 << 20;

absl::string_view View(const uint8_t* bytes, size_t size) {
  return {reinterpret_cast<const char*>(bytes), size};
}

// libnghttp2 copies both, and changes neither.
nghttp2_nv Header(absl::string_view name, absl::string_view value) {
  const auto bytes = [](absl::string_view text) {
    return reinterpret_cast<uint8_t*>(const_cast<char*>(text.data()));
  };
  return {bytes(name), bytes(value), name.size(), value.size(),
          NGHTTP2_NV_FLAG_NONE};
}

}  // namespace

struct Connection::Call {
  absl::string_view unsent;
  Reply reply;
  bool has_code = false;
};

struct Connection::Callbacks {
  static Call* CallOf(void* user_data, int32_t stream) {
    auto& calls = static_cast<Connection*>(user_data)->calls_;
    const auto found = calls.find(stream);
    return found == calls.end() ? nullptr : found->second.get();
  }

  static ssize_t OnBody(nghttp2_session*, int32_t stream, uint8_t* buffer,
                        size_t size, uint32_t* flags, nghttp2_data_source*,
                        void* user_data) {
    Call* call = CallOf(user_data, stream);
    if (call == nullptr) return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    const size_t taken = std::min(size, call->unsent.size());
    std::memcpy(buffer, call->unsent.data(), taken);
    call->unsent.remove_prefix(taken);
    if (call->unsent.empty()) *flags |= NGHTTP2_DATA_FLAG_EOF;
    return static_cast<ssize_t>(taken);
  }

  static int OnHeader(nghttp2_session*, const nghttp2_frame* frame,
                      const uint8_t* name, size_t name_size,
                      const uint8_t* value, size_t value_size, uint8_t,
                      void* user_data) {
    Call* call = CallOf(user_data, frame->hd.stream_id);
    if (call == nullptr) return 0;
    if (View(name, name_size) == "grpc-status") {
      call->has_code =
          absl::SimpleAtoi(View(value, value_size), &call->reply.code);
    } else if (View(name, name_size) == "grpc-message") {
      call->reply.message = std::string(View(value, value_size));
    }
    return 0;
  }

  static int OnData(nghttp2_session*, uint8_t, int32_t stream, const uint8_t*,
                    size_t size, void* user_data) {
    if (Call* call = CallOf(user_data, stream)) call->reply.bytes += size;
    return 0;
  }

  static int OnClose(nghttp2_session*, int32_t stream, uint32_t error,
                     void* user_data) {
    auto& connection = *static_cast<Connection*>(user_data);
    const auto found = connection.calls_.find(stream);
    if (found == connection.calls_.end()) return 0;
    Call& call = *found->second;
    if (!call.has_code) {
      call.reply.code =
          error == NGHTTP2_REFUSED_STREAM ? kUnavailable : kUnknown;
      call.reply.message = absl::StrCat("the stream ended without a status: ",
                                        nghttp2_http2_strerror(error));
    }
    connection.replies_.push_back(std::move(call.reply));
    connection.calls_.erase(found);
    return 0;
  }
};

void Connection::EndSession::operator()(nghttp2_session* session) const {
  nghttp2_session_del(session);
}

absl::StatusOr<std::unique_ptr<Connection>> Connection::Open(
    const std::string& server, const std::string& source_address) {
  const absl::StatusOr<int> file = TcpConnect(server, source_address);
  if (!file.ok()) return file.status();
  return absl::WrapUnique(new Connection(server, *file));
}

Connection::Connection(std::string server, int file)
    : server_(std::move(server)), file_(file), received_(kReadBytes) {
  nghttp2_session_callbacks* callbacks;
  nghttp2_session_callbacks_new(&callbacks);
  nghttp2_session_callbacks_set_on_header_callback(callbacks,
                                                   Callbacks::OnHeader);
  nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks,
                                                            Callbacks::OnData);
  nghttp2_session_callbacks_set_on_stream_close_callback(callbacks,
                                                         Callbacks::OnClose);
  nghttp2_session* session;
  nghttp2_session_client_new(&session, callbacks, this);
  nghttp2_session_callbacks_del(callbacks);
  session_.reset(session);
  const nghttp2_settings_entry settings[] = {
      {NGHTTP2_SETTINGS_ENABLE_PUSH, 0},
      {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, kStreamWindow}};
  Check("settings", nghttp2_submit_settings(session, NGHTTP2_FLAG_NONE,
                                            settings, std::size(settings)));
  Check("settings", nghttp2_session_set_local_window_size(
                        session, NGHTTP2_FLAG_NONE, 0, kConnectionWindow));
}

Connection::~Connection() { close(file_); }

int32_t Connection::Send(absl::string_view method, absl::string_view message,
                         absl::Duration timeout) {
  const std::string milliseconds = absl::StrCat(
      std::clamp<int64_t>(absl::ToInt64Milliseconds(timeout), 1, 99'999'999),
      "m");
  const nghttp2_nv headers[] = {Header(":method", "POST"),
                                Header(":scheme", "http"),
                                Header(":path", method),
                                Header(":authority", server_),
                                Header("te", "trailers"),
                                Header("content-type", "application/grpc"),
                                Header("user-agent", "qlarank-load"),
                                Header("grpc-timeout", milliseconds)};
  nghttp2_data_provider body = {{}, Callbacks::OnBody};
  const int32_t id = nghttp2_submit_request(session_.get(), nullptr, headers,
                                            std::size(headers), &body, nullptr);
  Check("send", id);
  auto call = std::make_unique<Call>();
  call->unsent = message;
  call->reply.call = id;
  calls_.emplace(id, std::move(call));
  return id;
}

void Connection::Cancel(int32_t call) {
  if (calls_.erase(call) == 0) return;
  Check("cancel", nghttp2_submit_rst_stream(session_.get(), NGHTTP2_FLAG_NONE,
                                            call, NGHTTP2_CANCEL));
}

void Connection::Read(absl::FunctionRef<void(Reply)> on_reply) {
  Receive();
  std::vector<Reply> replies = std::exchange(replies_, {});
  for (Reply& reply : replies) on_reply(std::move(reply));
}

void Connection::Receive() {
  while (status_.ok()) {
    const ssize_t size =
        recv(file_, received_.data(), received_.size(), MSG_DONTWAIT);
    if (size < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (size < 0) return Break(strerror(errno));
    if (size == 0) return Break("the server closed it");
    Check("read", nghttp2_session_mem_recv(session_.get(), received_.data(),
                                           static_cast<size_t>(size)));
    if (nghttp2_session_check_request_allowed(session_.get()) == 0) {
      return Break("the server takes no more calls");
    }
    if (static_cast<size_t>(size) < received_.size()) return;
  }
}

void Connection::Write() {
  while (status_.ok()) {
    while (unsent_.size() < kUnsentBytes) {
      const uint8_t* bytes;
      const ssize_t size = nghttp2_session_mem_send(session_.get(), &bytes);
      Check("write", size);
      if (size <= 0) break;
      unsent_.append(reinterpret_cast<const char*>(bytes),
                     static_cast<size_t>(size));
    }
    if (unsent_.empty()) return;
    const ssize_t sent = send(file_, unsent_.data(), unsent_.size(),
                              MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (sent < 0) return Break(strerror(errno));
    unsent_.erase(0, static_cast<size_t>(sent));
  }
}

pollfd Connection::ToPoll() const {
  const bool more = !unsent_.empty();
  return {file_, static_cast<int16_t>(more ? POLLIN | POLLOUT : POLLIN), 0};
}

void Connection::Check(absl::string_view action, int64_t result) {
  if (result >= 0) return;
  Break(absl::StrCat(action, ": ", nghttp2_strerror(static_cast<int>(result))));
}

void Connection::Break(absl::string_view why) {
  if (!status_.ok()) return;
  status_ = absl::UnavailableError(
      absl::StrCat("the connection to ", server_, " broke: ", why));
}

std::string Framed(absl::string_view message) {
  const uint32_t size = htonl(static_cast<uint32_t>(message.size()));
  std::string framed(1, '\0');  // not compressed
  framed.append(reinterpret_cast<const char*>(&size), sizeof(size));
  framed.append(message.data(), message.size());
  return framed;
}

}  // namespace qlarank::bench
