// A connection of its own to a gRPC server, for unary calls: HTTP/2 by
// libnghttp2, in the caller's thread. The generator shares its
// processors with the server, and a gRPC client takes several times as much of
// them. (gRPC over HTTP/2: github.com/grpc/grpc, doc/PROTOCOL-HTTP2.md)
//
//   const int32_t call = connection->Send(kMethod, message, absl::Seconds(1));
//   connection->Write();
//   connection->Read([](Connection::Reply reply) { ... });
//
// Each connection stands for a caller. Not thread-safe.
#ifndef QLARANK_BENCH_LOAD_CONNECTION_H_
#define QLARANK_BENCH_LOAD_CONNECTION_H_

#include <poll.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "nghttp2/nghttp2.h"

namespace qlarank::bench {

class Connection {
 public:
  // What became of a call.
  struct Reply {
    int32_t call = 0;     // what Send returned
    int code = 0;         // gRPC's
    std::string message;  // of an error, as it came over the wire
    size_t bytes = 0;     // of the reply's message, with its prefix
  };

  // To "host:port". With a `source_address`, an IPv4 address of this machine,
  // it comes from there, which makes it another client's to the server.
  static absl::StatusOr<std::unique_ptr<Connection>> Open(
      const std::string& server, const std::string& source_address);
  ~Connection();

  // Begins a call; it goes out with the next Write. `message`: with gRPC's
  // prefix, as Framed gives it; must outlive the call. The server is told the
  // timeout; at this end nothing happens then.
  int32_t Send(absl::string_view method, absl::string_view message,
               absl::Duration timeout);

  // Tells the server, with the next Write, that nobody waits any more; there
  // will be no reply.
  void Cancel(int32_t call);

  // What can be done without waiting; nothing once the connection is broken.
  void Read(absl::FunctionRef<void(Reply)> on_reply);
  void Write();

  // UNAVAILABLE once the connection is broken.
  const absl::Status& status() const { return status_; }

  // What to wait for until there is something to read, or room to write.
  pollfd ToPoll() const;

 private:
  struct Call;
  struct Callbacks;  // libnghttp2's
  struct EndSession {
    void operator()(nghttp2_session* session) const;
  };

  Connection(std::string server, int file);

  void Check(absl::string_view action, int64_t result);
  void Break(absl::string_view why);
  void Receive();

  const std::string server_;
  const int file_;
  std::unique_ptr<nghttp2_session, EndSession> session_;
  absl::flat_hash_map<int32_t, std::unique_ptr<Call>> calls_;
  std::vector<Reply> replies_;
  std::string unsent_;
  std::vector<uint8_t> received_;
  absl::Status status_;
};

// A message with gRPC's prefix: not compressed, and its length.
std::string Framed(absl::string_view message);

}  // namespace qlarank::bench

#endif  // QLARANK_BENCH_LOAD_CONNECTION_H_
