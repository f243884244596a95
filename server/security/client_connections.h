// How many connections each client holds, so that one cannot take them all, and
// how many all hold, so that files are left for the store. A client is an
// address: who it is shows only later, and a connection costs
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
#include "absl/time/time.h"

namespace qlarank {

class ClientConnections {
 public:
  enum class Verdict { kAdmitted, kClientHasTooMany, kAllHaveTooMany };

  ClientConnections(uint32_t max_per_client, uint32_t max_total)
      : max_per_client_(max_per_client), max_total_(max_total) {}

  // Whether `client` may have one more: up to max_per_client, and three times
  // as many as are free, so that one alone leaves a quarter to others. Then it
  // is counted, for as long as `file` is the socket that it is now. Where all
  // together have too many, one that ended within the last 100 ms may still
  // count.
  Verdict Admit(absl::string_view client, int file, absl::Time now)
      ABSL_LOCKS_EXCLUDED(mutex_);

  uint32_t max_total() const { return max_total_; }

  // Those open now.
  size_t open() ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  struct Connection {
    int file;
    uint64_t socket;
  };
  using Connections = std::vector<Connection>;

  size_t MaxOfAClient() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void ForgetClosed() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Returns how many.
  static size_t ForgetClosed(Connections& connections);

  const uint32_t max_per_client_;
  const uint32_t max_total_;
  absl::Mutex mutex_;
  absl::flat_hash_map<std::string, Connections> clients_
      ABSL_GUARDED_BY(mutex_);
  size_t remembered_ ABSL_GUARDED_BY(mutex_) = 0;
  // When there are so many, those that have ended are looked for.
  size_t look_at_ ABSL_GUARDED_BY(mutex_) = 64;
  // When there are too many of all, not before this.
  absl::Time look_again_ ABSL_GUARDED_BY(mutex_) = absl::InfinitePast();
};

}  // namespace qlarank

#endif  // QLARANK_SERVER_SECURITY_CLIENT_CONNECTIONS_H_
