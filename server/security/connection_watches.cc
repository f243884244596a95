#include "server/security/connection_watches.h"

#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/time/clock.h"
#include "server/ops/log_throttle.h"
#include "server/ops/logging.h"

namespace qlarank {

WatchedConnection::WatchedConnection(
    std::shared_ptr<ConnectionWatches> watches, int file, std::string client,
    bool encrypted, const Http2Limits& limits)
    : watches_(std::move(watches)),
      client_(std::move(client)),
      encrypted_(encrypted),
      watch_(limits),
      file_(file) {}

WatchedConnection::~WatchedConnection() { Close(); }

bool WatchedConnection::Received(absl::string_view bytes) {
  Fault fault;
  {
    absl::MutexLock lock(&mutex_);
    if (cut_) return false;
    fault = watch_.Received(bytes, absl::Now());
    CountUnfinished();
  }
  if (fault != Fault::kNone) {
    Cut(fault);
    return false;
  }
  if (watches_->unfinished_bytes() > watches_->limits_.unfinished_bytes) {
    watches_->Relieve();
    absl::MutexLock lock(&mutex_);
    return !cut_;
  }
  return true;
}

void WatchedConnection::Sent(absl::string_view bytes) {
  absl::MutexLock lock(&mutex_);
  watch_.Sent(bytes);
  if (!cut_) CountUnfinished();
}

void WatchedConnection::Cut(Fault fault) {
  {
    absl::MutexLock lock(&mutex_);
    if (cut_) return;
    cut_ = true;
    SetUnfinished(0);
  }
  // Before the client knows, so that it sees itself counted.
  watches_->CountCut(fault, client_);
  absl::MutexLock lock(&mutex_);
  // gRPC reads the end of the connection, and closes it.
  if (file_ >= 0) shutdown(file_, SHUT_RDWR);
}

void WatchedConnection::Close() {
  {
    absl::MutexLock lock(&mutex_);
    if (file_ < 0) return;
    file_ = -1;
    cut_ = true;
    SetUnfinished(0);
  }
  watches_->Forget(this);
}

void WatchedConnection::CountUnfinished() {
  SetUnfinished(watch_.unfinished_bytes());
}

void WatchedConnection::SetUnfinished(uint64_t bytes) {
  const uint64_t before = unfinished_bytes();
  if (bytes == before) return;
  unfinished_bytes_.store(bytes, std::memory_order_relaxed);
  watches_->unfinished_bytes_.fetch_add(bytes - before,
                                        std::memory_order_relaxed);
}

std::shared_ptr<WatchedConnection> ConnectionWatches::Watch(
    int file, std::string client, bool encrypted) {
  auto connection = std::make_shared<WatchedConnection>(
      shared_from_this(), file, std::move(client), encrypted,
      limits_.connection);
  absl::MutexLock lock(&mutex_);
  open_.insert(connection.get());
  return connection;
}

void ConnectionWatches::Detach() {
  absl::MutexLock lock(&metrics_mutex_);
  metrics_ = nullptr;
}

void ConnectionWatches::Relieve() {
  absl::MutexLock lock(&mutex_);
  while (unfinished_bytes() > limits_.unfinished_bytes) {
    WatchedConnection* const largest = LargestOfLargestClient();
    if (largest == nullptr) return;
    largest->Cut(Fault::kUnfinished);
  }
}

WatchedConnection* ConnectionWatches::LargestOfLargestClient() {
  struct Client {
    uint64_t bytes = 0;
    WatchedConnection* largest = nullptr;
  };
  absl::flat_hash_map<absl::string_view, Client> clients;
  const Client* most = nullptr;
  for (WatchedConnection* const connection : open_) {
    const uint64_t bytes = connection->unfinished_bytes();
    if (bytes == 0) continue;
    Client& client = clients[connection->client()];
    client.bytes += bytes;
    if (client.largest == nullptr ||
        client.largest->unfinished_bytes() < bytes) {
      client.largest = connection;
    }
  }
  for (const auto& [name, client] : clients) {
    if (most == nullptr || client.bytes > most->bytes) most = &client;
  }
  return most == nullptr ? nullptr : most->largest;
}

void ConnectionWatches::Forget(WatchedConnection* connection) {
  absl::MutexLock lock(&mutex_);
  open_.erase(connection);
}

void ConnectionWatches::CountCut(Fault fault, absl::string_view client) {
  {
    absl::MutexLock lock(&metrics_mutex_);
    if (metrics_ == nullptr) return;
    metrics_->ConnectionCut(fault);
  }
  static LogThrottle throttle(absl::Seconds(10));
  if (const auto held_back = throttle.Admit(absl::Now())) {
    LogWarning("connection cut", {{"reason", FaultName(fault)},
                                  {"client", client},
                                  {"held_back", *held_back}});
  }
}

}  // namespace qlarank
