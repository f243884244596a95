#include "cli/event_history.h"

#include <algorithm>

#include "cli/event_csv.h"

namespace qlarank {

void EventHistory::Add(const v1::UserEvent& event) {
  users_[event.user_id()][event.event().item_id()].push_back(
      ToAbslTime(event.event().time()));
}

const EventHistory::Items& EventHistory::ItemsOf(
    const std::string& user) const {
  static const auto& none = *new Items();
  auto found = users_.find(user);
  return found == users_.end() ? none : found->second;
}

bool EventHistory::HasUser(const std::string& user) const {
  return users_.contains(user);
}

bool EventHistory::HasItem(const std::string& user, uint64_t item) const {
  return ItemsOf(user).contains(item);
}

size_t EventHistory::NumItems(const std::string& user) const {
  return ItemsOf(user).size();
}

uint64_t EventHistory::NumEvents(const std::string& user) const {
  uint64_t events = 0;
  for (const auto& [item, times] : ItemsOf(user)) events += times.size();
  return events;
}

absl::Time EventHistory::Newest(const std::string& user) const {
  absl::Time newest = absl::InfinitePast();
  for (const auto& [item, times] : ItemsOf(user)) {
    newest = std::max(newest, *std::max_element(times.begin(), times.end()));
  }
  return newest;
}

absl::flat_hash_map<uint64_t, uint64_t> EventHistory::CountItems(
    absl::Time since) const {
  absl::flat_hash_map<uint64_t, uint64_t> counts;
  for (const auto& [user, items] : users_) {
    for (const auto& [item, times] : items) {
      auto recent = std::count_if(times.begin(), times.end(),
                                  [&](absl::Time t) { return t >= since; });
      if (recent > 0) counts[item] += static_cast<uint64_t>(recent);
    }
  }
  return counts;
}

}  // namespace qlarank
