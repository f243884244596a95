// Watches the connections of a server for attacks (http2_watch.h) and bounds
// what all of them together hold in unfinished messages: beyond it the client
// that holds most loses the connection that holds most.
//
//   auto watches = std::make_shared<ConnectionWatches>(limits, metrics);
//   auto connection = watches->Watch(file, client, encrypted);
//   HookSocket(file, connection);  // socket_hooks.h: tells it of every read
//   ...
//   watches->Detach();  // before the metrics go
//
// gRPC may end connections after the server that took them: connections keep
// their ConnectionWatches alive. Both are thread-safe.
#ifndef QLARANK_SERVER_SECURITY_CONNECTION_WATCHES_H_
#define QLARANK_SERVER_SECURITY_CONNECTION_WATCHES_H_

#include <sys/socket.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_set.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "server/metrics/security_metrics.h"
#include "server/security/http2_watch.h"

namespace qlarank {

class ConnectionWatches;

class WatchedConnection {
 public:
  // By ConnectionWatches::Watch.
  WatchedConnection(std::shared_ptr<ConnectionWatches> watches, int file,
                    std::string client, bool encrypted,
                    const Http2Limits& limits);
  ~WatchedConnection();

  WatchedConnection(const WatchedConnection&) = delete;

  const std::string& client() const { return client_; }
  // What passes the socket is TLS, and the frames are inside.
  bool encrypted() const { return encrypted_; }
  uint64_t unfinished_bytes() const {
    return unfinished_bytes_.load(std::memory_order_relaxed);
  }

  // gRPC has read the socket, and the hook has seen it.
  void NoteRead() { was_read_.store(true, std::memory_order_relaxed); }
  bool was_read() const { return was_read_.load(std::memory_order_relaxed); }

  // What came of HTTP/2. False when the connection has been cut, now or before:
  // nobody may see these bytes then.
  bool Received(absl::string_view bytes);
  // What was sent of HTTP/2.
  void Sent(absl::string_view bytes);

  // Hangs up, and counts and logs why, unless that was done.
  void Cut(Fault fault);

  // The file is about to be closed: nothing here uses its number any more.
  void Close();

 private:
  // The part of what all hold that is this connection's.
  void CountUnfinished() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void SetUnfinished(uint64_t bytes) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const std::shared_ptr<ConnectionWatches> watches_;
  const std::string client_;
  const bool encrypted_;
  std::atomic<uint64_t> unfinished_bytes_ = 0;
  std::atomic<bool> was_read_ = false;
  absl::Mutex mutex_;
  Http2Watch watch_ ABSL_GUARDED_BY(mutex_);
  int file_ ABSL_GUARDED_BY(mutex_);  // -1 when it is closed
  bool cut_ ABSL_GUARDED_BY(mutex_) = false;
};

class ConnectionWatches
    : public std::enable_shared_from_this<ConnectionWatches> {
 public:
  struct Limits {
    Http2Limits connection;
    uint64_t unfinished_bytes = 0;  // of all connections
  };

  // `metrics` (null: nothing is counted or logged) must live until Detach.
  ConnectionWatches(const Limits& limits, SecurityMetrics* metrics)
      : limits_(limits), metrics_(metrics) {}

  // Of the socket `file`, which belongs to gRPC and closes through the hook.
  std::shared_ptr<WatchedConnection> Watch(int file, std::string client,
                                           bool encrypted);

  void Detach();

  // What all connections hold in unfinished messages.
  uint64_t unfinished_bytes() const {
    return unfinished_bytes_.load(std::memory_order_relaxed);
  }

 private:
  friend class WatchedConnection;

  // Cuts connections until all together hold no more than they may.
  void Relieve();
  WatchedConnection* LargestOfLargestClient()
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Forget(WatchedConnection* connection);
  void CountCut(Fault fault, absl::string_view client);

  const Limits limits_;
  std::atomic<uint64_t> unfinished_bytes_ = 0;
  // Taken before a connection's.
  absl::Mutex mutex_;
  absl::flat_hash_set<WatchedConnection*> open_ ABSL_GUARDED_BY(mutex_);
  absl::Mutex metrics_mutex_;
  SecurityMetrics* metrics_ ABSL_GUARDED_BY(metrics_mutex_);
};

}  // namespace qlarank

#endif  // QLARANK_SERVER_SECURITY_CONNECTION_WATCHES_H_
