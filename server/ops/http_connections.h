// The open connections of an HTTP server, and which of them has to go when there
// are too many: so that nobody is kept out by those who hold connections and say
// nothing.
//
// It is the oldest of the client that holds the most. A probe or a scrape is the
// newest of its client's for the millisecond that it takes, whoever else is on
// its address; a connection that is still there after hundreds of newer ones is
// silent, or reads slowly.
//
// Not thread-safe: it belongs to the server's one thread.
#ifndef QLARANK_SERVER_OPS_HTTP_CONNECTIONS_H_
#define QLARANK_SERVER_OPS_HTTP_CONNECTIONS_H_

#include <cstddef>
#include <list>
#include <optional>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/string_view.h"

struct sockaddr;

namespace qlarank {

class HttpConnections {
 public:
  explicit HttpConnections(size_t max) : max_(max) {}

  // A connection of `client` has begun. Returns the file of the one that must
  // be closed for it, which is forgotten; nullopt while there is room.
  std::optional<int> Add(absl::string_view client, int file);

  // A connection has ended. Without effect when it is forgotten already.
  void Remove(int file);

  size_t size() const { return files_.size(); }

 private:
  struct Connection {
    std::string client;
    int file;
  };
  using Connections = std::list<Connection>;

  void Erase(Connections::iterator connection);
  // The oldest of the client that holds the most. REQUIRES: there is one.
  Connections::iterator ToGo();

  const size_t max_;
  Connections by_age_;  // the oldest first
  absl::flat_hash_map<int, Connections::iterator> files_;
  absl::flat_hash_map<std::string, size_t> held_;  // by each client
};

// Who connects from `address`: its host; of an IPv6 address the network.
std::string HttpClientOf(const sockaddr& address);

}  // namespace qlarank

#endif  // QLARANK_SERVER_OPS_HTTP_CONNECTIONS_H_
