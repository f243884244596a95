#include "cli/baselines.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace qlarank {
namespace {

// In microseconds, as the trainer knows them.
double AgeUs(absl::Time newest, absl::Time time) {
  return static_cast<double>(absl::ToUnixMicros(newest) -
                             absl::ToUnixMicros(time));
}

}  // namespace

Baselines::Baselines(const EventHistory& history, absl::Time cut,
                     absl::Duration half_life)
    : history_(history), half_life_(half_life) {
  const auto counts = history.CountItems(absl::InfinitePast());
  std::vector<std::pair<uint64_t, uint64_t>> all(counts.begin(), counts.end());
  std::sort(all.begin(), all.end(), [](const auto& a, const auto& b) {
    return std::pair(b.second, a.first) < std::pair(a.second, b.first);
  });
  for (const auto& [item, count] : all) {
    places_[item] = popularity_.size();
    popularity_.push_back(item);
  }
  const auto recent = history.CountItems(cut - kRecent);
  std::vector<Scored> scored;
  for (uint64_t item : popularity_) {
    auto found = recent.find(item);
    scored.push_back(
        {item, found == recent.end() ? 0 : static_cast<double>(found->second)});
  }
  Sort(scored);
  for (const Scored& each : scored) recent_.push_back(each.item);
}

void Baselines::Sort(std::vector<Scored>& items) const {
  std::sort(items.begin(), items.end(),
            [this](const Scored& a, const Scored& b) {
              if (a.score != b.score) return a.score > b.score;
              return places_.at(a.item) < places_.at(b.item);
            });
}

std::vector<uint64_t> Baselines::OwnCounts(const std::string& user,
                                           size_t k) const {
  std::vector<Scored> own;
  for (const auto& [item, times] : history_.ItemsOf(user)) {
    own.push_back({item, static_cast<double>(times.size())});
  }
  return OwnFirst(std::move(own), k);
}

std::vector<uint64_t> Baselines::OwnDecayedCounts(const std::string& user,
                                                  size_t k) const {
  // From when ages count changes no order.
  const absl::Time newest = history_.Newest(user);
  const double half_life_us = absl::ToDoubleMicroseconds(half_life_);
  std::vector<Scored> own;
  for (auto [item, times] : history_.ItemsOf(user)) {
    // From the oldest to the newest, so that items of the same times tie.
    std::sort(times.begin(), times.end());
    double sum = 0;
    for (absl::Time time : times) {
      sum += std::pow(2.0, -AgeUs(newest, time) / half_life_us);
    }
    own.push_back({item, sum});
  }
  return OwnFirst(std::move(own), k);
}

std::vector<uint64_t> Baselines::OwnFirst(std::vector<Scored> own,
                                          size_t k) const {
  Sort(own);
  std::vector<uint64_t> ranked;
  for (const Scored& each : own) ranked.push_back(each.item);
  ranked.resize(std::min(k, ranked.size()));
  const size_t num_own = ranked.size();
  for (uint64_t item : popularity_) {
    if (ranked.size() == k) break;
    auto end = ranked.begin() + static_cast<ptrdiff_t>(num_own);
    if (std::find(ranked.begin(), end, item) == end) ranked.push_back(item);
  }
  return ranked;
}

}  // namespace qlarank
