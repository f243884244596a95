#include "bench/attention/history.h"

#include <cmath>

namespace qlarank::bench::attention {
namespace {

constexpr size_t kItems = 4096;
constexpr double kMicrosPerSecond = 1e6;

}  // namespace

std::vector<float> RandomTokens(size_t count, uint32_t seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  std::vector<float> tokens(count * kWidth);
  for (float& value : tokens) value = normal(random);
  return tokens;
}

History::History(uint32_t seed)
    : random_(seed), items_(RandomTokens(kItems, seed)) {}

Events History::Next(size_t count) {
  // Gaps from a second to a week, so that every time bucket is met.
  std::uniform_real_distribution<double> log_gap(0.0, std::log(7 * 86400.0));
  Events events;
  events.tokens.reserve(count * kWidth);
  for (size_t i = 0; i < count; ++i) {
    const auto item = items_.begin() + random_() % kItems * kWidth;
    events.tokens.insert(events.tokens.end(), item, item + kWidth);
    const int64_t gap_us = std::exp(log_gap(random_)) * kMicrosPerSecond;
    events.times.push_back({now_us_, now_us_ + gap_us});
    now_us_ += gap_us;
  }
  return events;
}

}  // namespace qlarank::bench::attention
