#include "server/ops/http_connections.h"

#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <iterator>

#include "server/ops/client_network.h"

namespace qlarank {

std::optional<int> HttpConnections::Add(absl::string_view client, int file) {
  std::optional<int> to_go;
  if (by_age_.size() >= max_) {
    const Connections::iterator oldest = ToGo();
    to_go = oldest->file;
    Erase(oldest);
  }
  by_age_.push_back({std::string(client), file});
  files_[file] = std::prev(by_age_.end());
  ++held_[client];
  return to_go;
}

void HttpConnections::Remove(int file) {
  const auto found = files_.find(file);
  if (found != files_.end()) Erase(found->second);
}

void HttpConnections::Erase(Connections::iterator connection) {
  const auto held = held_.find(connection->client);
  if (--held->second == 0) held_.erase(held);
  files_.erase(connection->file);
  by_age_.erase(connection);
}

HttpConnections::Connections::iterator HttpConnections::ToGo() {
  return std::max_element(
      by_age_.begin(), by_age_.end(),
      [this](const Connection& one, const Connection& other) {
        return held_[one.client] < held_[other.client];
      });  // the first of equals: the oldest
}

std::string HttpClientOf(const sockaddr& address) {
  if (address.sa_family == AF_INET6) {
    in6_addr host = reinterpret_cast<const sockaddr_in6&>(address).sin6_addr;
    KeepNetwork(host);
    return std::string(reinterpret_cast<const char*>(&host), sizeof(host));
  }
  const in_addr& host = reinterpret_cast<const sockaddr_in&>(address).sin_addr;
  return std::string(reinterpret_cast<const char*>(&host), sizeof(host));
}

}  // namespace qlarank
