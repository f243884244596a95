#include "cli/event_history.h"

#include <algorithm>
#include <tuple>
#include <utility>

#include "cli/event_csv.h"

namespace qlarank {
namespace {

// The best k by `better`, in order.
template <typename T, typename Better>
std::vector<uint64_t> Best(std::vector<T> all, size_t k, Better better) {
  k = std::min(k, all.size());
  std::partial_sort(all.begin(), all.begin() + static_cast<ptrdiff_t>(k),
                    all.end(), better);
  std::vector<uint64_t> items;
  for (size_t i = 0; i < k; ++i) items.push_back(std::get<0>(all[i]));
  return items;
}

}  // namespace

void EventHistory::Add(const v1::UserEvent& event) {
  uint64_t item = event.event().item_id();
  ++popularity_[item];
  Count& count = users_[event.user_id()][item];
  ++count.times;
  count.last = ToAbslTime(event.event().time());
  count.newest = std::max(count.newest, count.last);
}

const EventHistory::Items* EventHistory::ItemsOf(
    const std::string& user) const {
  auto found = users_.find(user);
  return found == users_.end() ? nullptr : &found->second;
}

bool EventHistory::HasUser(const std::string& user) const {
  return ItemsOf(user) != nullptr;
}

bool EventHistory::HasItem(const std::string& user, uint64_t item) const {
  const Items* items = ItemsOf(user);
  return items != nullptr && items->contains(item);
}

size_t EventHistory::NumItems(const std::string& user) const {
  const Items* items = ItemsOf(user);
  return items == nullptr ? 0 : items->size();
}

uint64_t EventHistory::NumEvents(const std::string& user) const {
  uint64_t events = 0;
  if (const Items* items = ItemsOf(user); items != nullptr) {
    for (const auto& [item, count] : *items) events += count.times;
  }
  return events;
}

absl::Time EventHistory::Newest(const std::string& user) const {
  absl::Time newest = absl::InfinitePast();
  if (const Items* items = ItemsOf(user); items != nullptr) {
    for (const auto& [item, count] : *items) {
      newest = std::max(newest, count.newest);
    }
  }
  return newest;
}

std::vector<uint64_t> EventHistory::ByPopularity() const {
  std::vector<std::pair<uint64_t, uint64_t>> all(popularity_.begin(),
                                                 popularity_.end());
  const size_t count = all.size();
  return Best(std::move(all), count, [](const auto& a, const auto& b) {
    return std::pair(b.second, a.first) < std::pair(a.second, b.first);
  });
}

std::vector<uint64_t> EventHistory::Favourites(
    const std::string& user, size_t k,
    const std::vector<uint64_t>& popular) const {
  std::vector<uint64_t> best;
  if (const Items* items = ItemsOf(user); items != nullptr) {
    std::vector<std::pair<uint64_t, Count>> all(items->begin(), items->end());
    best = Best(std::move(all), k, [this](const auto& a, const auto& b) {
      return std::tuple(b.second.times, b.second.last, popularity_.at(b.first),
                        a.first) < std::tuple(a.second.times, a.second.last,
                                              popularity_.at(a.first), b.first);
    });
  }
  for (uint64_t item : popular) {
    if (best.size() == k) break;
    if (std::find(best.begin(), best.end(), item) == best.end()) {
      best.push_back(item);
    }
  }
  return best;
}

}  // namespace qlarank
