// Takes TCP connections at an address and hands them on. gRPC can listen by
// itself, but then asks nobody whether it may take a connection.
//
//   auto listener = TcpListener::Listen("listen.grpc_address", address);
//   (*listener)->Start([](const TcpConnection& connection) { ... });
#ifndef QLARANK_SERVER_TCP_LISTENER_H_
#define QLARANK_SERVER_TCP_LISTENER_H_

#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace qlarank {

struct TcpConnection {
  int file;           // now the receiver's, to close
  int listener_file;  // that it came to
  // The peer's address, without its port; of an IPv6 address the first 64 bits.
  std::string client;
};

class TcpListener {
 public:
  // Every address that the host of "host:port" has, all at one port; port 0
  // picks a free one. Connections wait until Start. UNAVAILABLE when that
  // cannot be, naming the address and `field`.
  static absl::StatusOr<std::unique_ptr<TcpListener>> Listen(
      absl::string_view field, const std::string& address);

  // As Stop.
  ~TcpListener();

  int port() const { return port_; }

  // Hands over every connection on a thread of its own, until Stop. Once.
  void Start(std::function<void(const TcpConnection&)> on_connection);

  // Takes no more, and closes the address. Waits for on_connection.
  void Stop();

 private:
  TcpListener();

  bool Open(const std::string& address);
  void Run(const std::function<void(const TcpConnection&)>& on_connection);

  static void Accept(
      int listener,
      const std::function<void(const TcpConnection&)>& on_connection);

  std::vector<int> listeners_;
  int port_ = 0;
  int stop_file_;
  std::thread thread_;
};

}  // namespace qlarank

#endif  // QLARANK_SERVER_TCP_LISTENER_H_
