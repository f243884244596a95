// docs/model.md section 11 as plain as can be, in double and with the library's
// functions: what the engine's item memory is held to.
#ifndef QLARANK_TESTS_MODEL_PLAIN_MEMORY_H_
#define QLARANK_TESTS_MODEL_PLAIN_MEMORY_H_

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <random>
#include <vector>

#include "model/user_state.h"
#include "qlarank/model/v1/model_spec.pb.h"

namespace qlarank::testing {

inline int64_t FloorSeconds(int64_t time_us) {
  return static_cast<int64_t>(
      std::floor(static_cast<long double>(time_us) / 1e6L));
}

struct PlainEntry {
  uint32_t row = 0;
  uint64_t count = 0;
  int64_t first_s = 0, last_s = 0;
  std::vector<float> decayed;
};

class PlainMemory {
 public:
  explicit PlainMemory(const model::v1::ItemMemory& spec)
      : most_(spec.entries()),
        half_lives_s_(spec.half_lives_s().begin(), spec.half_lives_s().end()) {}

  void Fold(uint32_t row, int64_t time_us) {
    if (row == 0) return;
    const int64_t t = FloorSeconds(time_us);
    PlainEntry* entry = FindEntry(row);
    if (entry != nullptr) {
      const double dt = std::max<int64_t>(0, t - entry->last_s);
      for (size_t h = 0; h < half_lives_s_.size(); ++h) {
        const float aged = entry->decayed[h] * static_cast<float>(Decay(dt, h));
        entry->decayed[h] = aged + 1.0f;
      }
      ++entry->count;
      entry->first_s = std::min(entry->first_s, t);
      entry->last_s = std::max(entry->last_s, t);
      return;
    }
    const PlainEntry fresh{row, 1, t, t,
                           std::vector<float>(half_lives_s_.size(), 1.0f)};
    if (entries_.size() < most_) {
      entries_.push_back(fresh);
    } else {
      *std::min_element(entries_.begin(), entries_.end(),
                        [&](const PlainEntry& a, const PlainEntry& b) {
                          if (Rank(a) != Rank(b)) return Rank(a) < Rank(b);
                          return a.row > b.row;
                        }) = fresh;
    }
  }

  // All 0 for an item without an entry.
  std::vector<float> Facts(uint32_t row, int64_t as_of_s) {
    const size_t n = half_lives_s_.size();
    std::vector<float> facts(4 + 2 * n);
    const PlainEntry* entry = FindEntry(row);
    if (row == 0 || entry == nullptr) return facts;
    const double dt = std::max<int64_t>(0, as_of_s - entry->last_s);
    const double age = std::max<int64_t>(0, as_of_s - entry->first_s);
    facts[0] = 1;
    facts[1] = std::log(1.0 + entry->count);
    for (size_t h = 0; h < n; ++h) {
      facts[2 + h] = std::log(1.0 + entry->decayed[h] * Decay(dt, h));
      facts[2 + n + h] = Decay(dt, h);
    }
    facts[2 + 2 * n] = std::log(1.0 + age) / 16;
    const double r = dt * (entry->count - 1.0) /
                     std::max<int64_t>(1, entry->last_s - entry->first_s);
    facts[3 + 2 * n] = entry->count == 1 ? 0 : r / (1 + r);
    return facts;
  }

  const std::vector<PlainEntry>& entries() const { return entries_; }

 private:
  PlainEntry* FindEntry(uint32_t row) {
    for (PlainEntry& entry : entries_) {
      if (entry.row == row) return &entry;
    }
    return nullptr;
  }
  double Decay(double dt, size_t h) const {
    return std::exp(-std::min(std::log(2.0) * (dt / half_lives_s_[h]), 64.0));
  }
  double Rank(const PlainEntry& entry) const {
    return std::log(static_cast<double>(entry.decayed.back())) +
           std::log(2.0) * static_cast<double>(entry.last_s) /
               half_lives_s_.back();
  }

  size_t most_;
  std::vector<double> half_lives_s_;
  std::vector<PlainEntry> entries_;
};

// Events of few items, the lower rows more often, some of them unknown: many at
// the same moment, some late, the first before 1970.
inline std::vector<ModelEvent> MemoryEvents(size_t n, uint32_t num_rows,
                                            uint32_t seed) {
  std::mt19937 random(seed);
  std::vector<ModelEvent> events(n);
  int64_t time_us = -3'000'000'500'000;
  for (ModelEvent& event : events) {
    const uint32_t most = 1 + random() % num_rows;
    event.item_row = random() % most;
    switch (random() % 8) {
      case 0:
      case 1:
        break;
      case 2:
        time_us -= int64_t{1'000'003} * (random() % 200'000);
        break;
      default:
        time_us += int64_t{1'000'000} << random() % 18;
    }
    event.time_us = time_us + random() % 1000;
  }
  return events;
}

}  // namespace qlarank::testing

#endif  // QLARANK_TESTS_MODEL_PLAIN_MEMORY_H_
