#include "cli/basket_data.h"

#include <algorithm>
#include <fstream>
#include <functional>
#include <tuple>

#include "absl/strings/str_cat.h"
#include "cli/csv_reader.h"

namespace qlarank {
namespace {

absl::Status ForEachEvent(const std::string& path, TimeUnit unit,
                          const std::function<void(v1::UserEvent&)>& take) {
  std::ifstream file(path);
  if (!file) {
    return absl::InvalidArgumentError(absl::StrCat("cannot read ", path));
  }
  CsvReader reader(file, path);
  absl::StatusOr<EventCsv> csv = EventCsv::Open(reader, EventColumns(), unit);
  if (!csv.ok()) return csv.status();
  v1::UserEvent event;
  for (;;) {
    absl::StatusOr<bool> read = csv->Read(event);
    if (!read.ok()) return read.status();
    if (!*read) return absl::OkStatus();
    take(event);
  }
}

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

absl::StatusOr<Baskets> LoadNextBaskets(const std::string& path,
                                        TimeUnit unit) {
  Baskets baskets;
  absl::Status status =
      ForEachEvent(path, unit, [&](const v1::UserEvent& event) {
        Basket& basket = baskets[event.user_id()];
        if (basket.items.empty()) basket.time = event.event().time();
        if (ToAbslTime(basket.time) == ToAbslTime(event.event().time())) {
          basket.items.push_back(event.event().item_id());
        }
      });
  if (!status.ok()) return status;
  for (auto& [user, basket] : baskets) {
    std::sort(basket.items.begin(), basket.items.end());
    basket.items.erase(std::unique(basket.items.begin(), basket.items.end()),
                       basket.items.end());
  }
  return baskets;
}

absl::StatusOr<PurchaseHistory> PurchaseHistory::Load(const std::string& path,
                                                      TimeUnit unit) {
  PurchaseHistory history;
  absl::Status status =
      ForEachEvent(path, unit, [&](const v1::UserEvent& event) {
        uint64_t item = event.event().item_id();
        ++history.num_events_;
        ++history.popularity_[item];
        Count& count = history.users_[event.user_id()][item];
        ++count.times;
        count.last = ToAbslTime(event.event().time());
      });
  if (!status.ok()) return status;
  return history;
}

std::vector<uint64_t> PurchaseHistory::MostPopular(size_t k) const {
  std::vector<std::pair<uint64_t, uint64_t>> all(popularity_.begin(),
                                                 popularity_.end());
  return Best(std::move(all), k, [](const auto& a, const auto& b) {
    return std::pair(b.second, a.first) < std::pair(a.second, b.first);
  });
}

std::vector<uint64_t> PurchaseHistory::Favourites(const std::string& user,
                                                  size_t k) const {
  std::vector<uint64_t> items;
  if (auto found = users_.find(user); found != users_.end()) {
    std::vector<std::pair<uint64_t, Count>> all(found->second.begin(),
                                                found->second.end());
    items = Best(std::move(all), k, [this](const auto& a, const auto& b) {
      return std::tuple(b.second.times, b.second.last, popularity_.at(b.first),
                        a.first) < std::tuple(a.second.times, a.second.last,
                                              popularity_.at(a.first), b.first);
    });
  }
  for (uint64_t item : MostPopular(items.size() < k ? k : 0)) {
    if (items.size() == k) break;
    if (std::find(items.begin(), items.end(), item) == items.end()) {
      items.push_back(item);
    }
  }
  return items;
}

}  // namespace qlarank
