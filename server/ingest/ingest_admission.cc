#include "server/ingest/ingest_admission.h"

#include <algorithm>
#include <utility>

namespace qlarank {

IngestAdmission::IngestAdmission(size_t num_owners, size_t capacity) {
  for (size_t i = 0; i < num_owners; ++i) {
    rooms_.push_back(std::make_unique<FairQuota>(capacity));
  }
}

bool IngestAdmission::full(absl::string_view client) const {
  return std::any_of(
      rooms_.begin(), rooms_.end(),
      [client](const auto& room) { return room->full(client); });
}

bool IngestAdmission::TryTake(absl::string_view client,
                              absl::Span<const size_t> amounts) {
  for (size_t owner = 0; owner < amounts.size(); ++owner) {
    if (amounts[owner] == 0) continue;
    if (rooms_[owner]->TryTake(client, amounts[owner])) continue;
    for (size_t taken = 0; taken < owner; ++taken) {
      if (amounts[taken] > 0) Return(taken, client, amounts[taken]);
    }
    return false;
  }
  return true;
}

void IngestAdmission::TakeWhenRoom(absl::string_view client,
                                   std::vector<size_t> amounts,
                                   Callback taken) {
  Waiter waiter;
  waiter.amounts = std::move(amounts);
  waiter.done = std::move(taken);
  Enter(client, std::move(waiter));
}

void IngestAdmission::WhenRoom(absl::string_view client, Callback ready) {
  Waiter waiter;
  waiter.done = std::move(ready);
  Enter(client, std::move(waiter));
}

bool IngestAdmission::Advance(absl::string_view client, Waiter& waiter) {
  if (waiter.amounts.empty()) return !full(client);
  for (; waiter.next_owner < waiter.amounts.size(); ++waiter.next_owner) {
    const size_t amount = waiter.amounts[waiter.next_owner];
    if (amount == 0) continue;
    if (!rooms_[waiter.next_owner]->TryTakeOrFirst(client, amount)) {
      return false;
    }
  }
  return true;
}

void IngestAdmission::Enter(absl::string_view client, Waiter waiter) {
  {
    absl::MutexLock lock(&mutex_);
    // Before looking for room: who gives room back after that sees it.
    ++num_waiting_;
    const auto others = waiting_.find(client);
    if (others != waiting_.end() || !Advance(client, waiter)) {
      waiting_[client].push_back(std::move(waiter));
      return;
    }
    --num_waiting_;
  }
  waiter.done();
}

void IngestAdmission::Return(size_t owner, absl::string_view client,
                             size_t amount) {
  rooms_[owner]->Return(client, amount);
  if (num_waiting_ == 0) return;
  std::vector<Callback> woken;
  {
    absl::MutexLock lock(&mutex_);
    for (auto it = waiting_.begin(); it != waiting_.end();) {
      const auto of_client = it++;
      std::deque<Waiter>& waiters = of_client->second;
      while (!waiters.empty() && Advance(of_client->first, waiters.front())) {
        woken.push_back(std::move(waiters.front().done));
        waiters.pop_front();
        --num_waiting_;
      }
      if (waiters.empty()) waiting_.erase(of_client);
    }
  }
  for (Callback& wake : woken) wake();
}

}  // namespace qlarank
