#include "server/security/client_connections.h"

#include <sys/stat.h>

#include <algorithm>

namespace qlarank {
namespace {

// The socket's own number; 0 when `file` is none.
uint64_t SocketOf(int file) {
  struct stat info;
  if (fstat(file, &info) != 0 || !S_ISSOCK(info.st_mode)) return 0;
  return info.st_ino;
}

}  // namespace

bool ClientConnections::Admit(absl::string_view client, int file) {
  absl::MutexLock lock(&mutex_);
  if (remembered_ >= look_at_) {
    ForgetClosed();
    look_at_ = std::max<size_t>(64, 2 * remembered_);
  }
  Connections& connections = clients_[client];
  if (connections.size() >= max_per_client_) {
    remembered_ -= ForgetClosed(connections);
    if (connections.size() >= max_per_client_) return false;
  }
  connections.push_back({file, SocketOf(file)});
  ++remembered_;
  return true;
}

size_t ClientConnections::open() {
  absl::MutexLock lock(&mutex_);
  ForgetClosed();
  return remembered_;
}

void ClientConnections::ForgetClosed() {
  remembered_ = 0;
  absl::erase_if(clients_, [this](auto& client) {
    ForgetClosed(client.second);
    remembered_ += client.second.size();
    return client.second.empty();
  });
}

size_t ClientConnections::ForgetClosed(Connections& connections) {
  return std::erase_if(connections, [](const Connection& connection) {
    return SocketOf(connection.file) != connection.socket;
  });
}

}  // namespace qlarank
