// How many connections each client holds, so that one cannot take them all. A
// client is an address: who it is shows only later, and a connection costs
// memory before that.
//
// gRPC owns a connection once it has it, and does not say when it ends. What is
// kept here is the file's number and the socket's own number: as long as the
// one leads to the other, the connection is open.
//
// Thread-safe.
#ifndef QLARANK_SERVER_SECURITY_CLIENT_CONNECTIONS_H_
#define QLARANK_SERVER_SECURITY_CLIENT_CONNECTIONS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"

namespace qlarank {

class ClientConnections {
 public:
  explicit ClientConnections(uint32_t max_per_client)
      : max_per_client_(max_per_client) {}

  // Whether `client` may have one more; then it is counted, for as long as
  // `file` is the socket that it is now.
  bool Admit(absl::string_view client, int file) ABSL_LOCKS_EXCLUDED(mutex_);

  // Those open now.
  size_t open() ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  struct Connection {
    int file;
    uint64_t socket;
  };
  using Connections = std::vector<Connection>;

  void ForgetClosed() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Returns how many.
  static size_t ForgetClosed(Connections& connections);

  const uint32_t max_per_client_;
  absl::Mutex mutex_;
  absl::flat_hash_map<std::string, Connections> clients_
      ABSL_GUARDED_BY(mutex_);
  size_t remembered_ ABSL_GUARDED_BY(mutex_) = 0;
  // When there are so many, those that have ended are looked for.
  size_t look_at_ ABSL_GUARDED_BY(mutex_) = 64;
};

}  // namespace qlarank

#endif  // QLARANK_SERVER_SECURITY_CLIENT_CONNECTIONS_H_
