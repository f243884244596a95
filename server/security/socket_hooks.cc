#include "server/security/socket_hooks.h"

#include <dlfcn.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <utility>

// glibc's, and a sanitizer's where there is one. dlsym may not be called here:
// it may allocate, and an allocator may close files before there is one.
extern "C" int __close(int file);  // NOLINT(bugprone-reserved-identifier)

namespace qlarank {
namespace {

using Connection = std::shared_ptr<WatchedConnection>;

// By the file's number. gRPC does not read or write a file that it closes.
std::array<std::atomic<Connection*>, kMaxHookedFile> hooked_files;

thread_local Connection handed_over;
thread_local bool session_was_begun = false;

// The function of this name that would have been called without us.
template <typename Function>
Function* Real(const char* name) {
  return reinterpret_cast<Function*>(dlsym(RTLD_NEXT, name));
}

WatchedConnection* ConnectionOf(int file) {
  if (file < 0 || file >= kMaxHookedFile) return nullptr;
  const Connection* const connection =
      hooked_files[file].load(std::memory_order_acquire);
  return connection == nullptr ? nullptr : connection->get();
}

void Unhook(int file) {
  if (file < 0 || file >= kMaxHookedFile) return;
  // Most files were never hooked.
  if (hooked_files[file].load(std::memory_order_relaxed) == nullptr) return;
  const std::unique_ptr<Connection> connection(
      hooked_files[file].exchange(nullptr));
  if (connection != nullptr) (*connection)->Close();
}

// Calls take(piece) for the first `size` bytes that `message` points to, until
// it returns false.
template <typename Take>
bool ForEachPiece(const msghdr& message, size_t size, Take take) {
  for (size_t i = 0; i < message.msg_iovlen && size > 0; ++i) {
    const iovec& part = message.msg_iov[i];
    const size_t here = std::min(size, part.iov_len);
    size -= here;
    if (!take({static_cast<const char*>(part.iov_base), here})) return false;
  }
  return true;
}

// OpenSSL calls it when a session ends.
void FreeConnection(void*, void* connection, CRYPTO_EX_DATA*, int, long,
                    void*) {
  delete static_cast<Connection*>(connection);
}

int SessionIndex() {
  static const int index =
      SSL_get_ex_new_index(0, nullptr, nullptr, nullptr, &FreeConnection);
  return index;
}

WatchedConnection* ConnectionOf(const SSL* session) {
  const auto* const connection =
      static_cast<const Connection*>(SSL_get_ex_data(session, SessionIndex()));
  return connection == nullptr ? nullptr : connection->get();
}

}  // namespace

bool HookSocket(int file, Connection connection) {
  if (file < 0 || file >= kMaxHookedFile) return false;
  Unhook(file);
  hooked_files[file].store(new Connection(std::move(connection)),
                           std::memory_order_release);
  return true;
}

HandOver::HandOver(Connection connection) {
  handed_over = std::move(connection);
  session_was_begun = false;
}

HandOver::~HandOver() { handed_over = nullptr; }

bool HandOver::session_begun() const { return session_was_begun; }

bool HooksAreFound() {
  const auto is = [](const char* name, auto* function) {
    return dlsym(RTLD_DEFAULT, name) == reinterpret_cast<void*>(function);
  };
  return is("recvmsg", &recvmsg) && is("sendmsg", &sendmsg) &&
         is("close", &close) && is("SSL_new", &SSL_new) &&
         is("SSL_read", &SSL_read) && is("SSL_write", &SSL_write);
}

}  // namespace qlarank

extern "C" ssize_t recvmsg(int file, msghdr* message, int flags) {
  static auto* const real =
      qlarank::Real<ssize_t(int, msghdr*, int)>("recvmsg");
  const ssize_t size = real(file, message, flags);
  auto* const connection = qlarank::ConnectionOf(file);
  if (connection == nullptr || (flags & MSG_ERRQUEUE) != 0) return size;
  connection->NoteRead();
  if (size <= 0 || connection->encrypted()) return size;
  if (qlarank::ForEachPiece(*message, size, [&](absl::string_view piece) {
        return connection->Received(piece);
      })) {
    return size;
  }
  errno = ECONNRESET;
  return -1;
}

extern "C" ssize_t sendmsg(int file, const msghdr* message, int flags) {
  static auto* const real =
      qlarank::Real<ssize_t(int, const msghdr*, int)>("sendmsg");
  const ssize_t size = real(file, message, flags);
  auto* const connection = qlarank::ConnectionOf(file);
  if (size <= 0 || connection == nullptr || connection->encrypted()) {
    return size;
  }
  qlarank::ForEachPiece(*message, size, [&](absl::string_view piece) {
    connection->Sent(piece);
    return true;
  });
  return size;
}

extern "C" int close(int file) {
  qlarank::Unhook(file);
  return __close(file);
}

extern "C" SSL* SSL_new(SSL_CTX* context) {
  static auto* const real = qlarank::Real<SSL*(SSL_CTX*)>("SSL_new");
  SSL* const session = real(context);
  if (session != nullptr && qlarank::handed_over != nullptr) {
    SSL_set_ex_data(session, qlarank::SessionIndex(),
                    new qlarank::Connection(qlarank::handed_over));
    qlarank::session_was_begun = true;
  }
  return session;
}

extern "C" int SSL_read(SSL* session, void* buffer, int size) {
  static auto* const real = qlarank::Real<int(SSL*, void*, int)>("SSL_read");
  const int read = real(session, buffer, size);
  auto* const connection = qlarank::ConnectionOf(session);
  if (read <= 0 || connection == nullptr ||
      connection->Received(
          {static_cast<const char*>(buffer), static_cast<size_t>(read)})) {
    return read;
  }
  // What SSL_get_error then makes of it ends the connection.
  ERR_raise(ERR_LIB_USER, ERR_R_OPERATION_FAIL);
  return -1;
}

extern "C" int SSL_write(SSL* session, const void* buffer, int size) {
  static auto* const real =
      qlarank::Real<int(SSL*, const void*, int)>("SSL_write");
  const int written = real(session, buffer, size);
  auto* const connection = qlarank::ConnectionOf(session);
  if (written > 0 && connection != nullptr) {
    connection->Sent(
        {static_cast<const char*>(buffer), static_cast<size_t>(written)});
  }
  return written;
}
