// Shows what gRPC reads and writes to who watches it (connection_watches.h).
// gRPC 1.51 has no place for that, but is a shared library: it reads by
// recvmsg, sends by sendmsg, and has TLS from OpenSSL by SSL_new, SSL_read and
// SSL_write. socket_hooks.cc defines these, and close, anew; the dynamic linker
// finds those of the program first. Each calls the real one and does nothing
// else to a file that nobody has hooked. A sanitizer's own are among the real
// ones.
//
//   HookSocket(file, connection);
//   HandOver hand_over(connection);
//   acceptor.HandleNewConnection(...);
//
// Thread-safe.
#ifndef QLARANK_SERVER_SECURITY_SOCKET_HOOKS_H_
#define QLARANK_SERVER_SECURITY_SOCKET_HOOKS_H_

#include <memory>

#include "server/security/connection_watches.h"

namespace qlarank {

// Files with a number below this can be hooked: 8 bytes of address space each,
// of which those that are not used take no memory.
inline constexpr int kMaxHookedFile = 1 << 20;

// From now on, until it is closed, what passes `file` is told to `connection`.
// False when its number is too high.
bool HookSocket(int file, std::shared_ptr<WatchedConnection> connection);

// While this lives, the TLS session that this thread begins is that of
// `connection`: gRPC makes it while it is handed the file.
class HandOver {
 public:
  explicit HandOver(std::shared_ptr<WatchedConnection> connection);
  ~HandOver();

  // Whether one was begun.
  bool session_begun() const;
};

// Whether what the linker finds under these names is what is defined here. That
// gRPC uses it is for connections to show.
bool HooksAreFound();

}  // namespace qlarank

#endif  // QLARANK_SERVER_SECURITY_SOCKET_HOOKS_H_
