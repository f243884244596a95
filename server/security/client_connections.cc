#include "server/security/client_connections.h"

#include <sys/stat.h>

#include <algorithm>

namespace qlarank {
namespace {

constexpr absl::Duration kBetweenLooks = absl::Milliseconds(100);

// The socket's own number; 0 when `file` is none.
uint64_t SocketOf(int file) {
  struct stat info;
  if (fstat(file, &info) != 0 || !S_ISSOCK(info.st_mode)) return 0;
  return info.st_ino;
}

}  // namespace

ClientConnections::Verdict ClientConnections::Admit(absl::string_view client,
                                                    int file, absl::Time now) {
  absl::MutexLock lock(&mutex_);
  if (remembered_ >= look_at_) {
    ForgetClosed();
    look_at_ = std::max<size_t>(64, 2 * remembered_);
  }
  if (remembered_ >= max_total_) {
    // To look costs a call for each connection.
    if (now >= look_again_ || now < look_again_ - kBetweenLooks) {
      look_again_ = now + kBetweenLooks;
      ForgetClosed();
    }
    if (remembered_ >= max_total_) return Verdict::kAllHaveTooMany;
  }
  Connections& connections = clients_[client];
  if (connections.size() >= MaxOfAClient()) {
    remembered_ -= ForgetClosed(connections);
    if (connections.size() >= MaxOfAClient()) {
      return Verdict::kClientHasTooMany;
    }
  }
  connections.push_back({file, SocketOf(file)});
  ++remembered_;
  return Verdict::kAdmitted;
}

size_t ClientConnections::open() {
  absl::MutexLock lock(&mutex_);
  ForgetClosed();
  return remembered_;
}

size_t ClientConnections::MaxOfAClient() const {
  return std::min<size_t>(max_per_client_, 3 * (max_total_ - remembered_));
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
