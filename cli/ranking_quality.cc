#include "cli/ranking_quality.h"

#include <algorithm>
#include <cmath>

namespace qlarank {
namespace {

double Discount(size_t rank) {
  return 1 / std::log2(static_cast<double>(rank) + 2);
}

}  // namespace

void Mean::Add(double value) {
  ++count_;
  const double distance = value - mean_;
  mean_ += distance / static_cast<double>(count_);
  squares_ += distance * (value - mean_);
}

double Mean::value() const { return count_ == 0 ? std::nan("") : mean_; }

double Mean::standard_error() const {
  if (count_ < 2) return std::nan("");
  const auto count = static_cast<double>(count_);
  return std::sqrt(squares_ / (count - 1) / count);
}

void RankingQuality::Add(const std::vector<uint64_t>& ranked,
                         const std::vector<uint64_t>& relevant) {
  double found = 0;
  double gain = 0;
  for (size_t i = 0; i < std::min(k_, ranked.size()); ++i) {
    if (std::binary_search(relevant.begin(), relevant.end(), ranked[i])) {
      found += 1;
      gain += Discount(i);
    }
  }
  double best = 0;
  for (size_t i = 0; i < std::min(k_, relevant.size()); ++i) {
    best += Discount(i);
  }
  many_relevant_ |= relevant.size() > 1;
  means_[0].Add(found > 0 ? 1 : 0);
  means_[1].Add(found / static_cast<double>(k_));
  means_[2].Add(found / static_cast<double>(relevant.size()));
  means_[3].Add(gain / best);
}

std::vector<RankingQuality::Measure> RankingQuality::Measures() const {
  std::vector<Measure> measures;
  size_t i = 0;
  for (const char* name : {"hit", "precision", "recall", "ndcg"}) {
    measures.push_back({name, means_[i].value(), means_[i].standard_error()});
    ++i;
  }
  return measures;
}

absl::Duration Percentile(const std::vector<absl::Duration>& sorted,
                          double fraction) {
  double position = std::ceil(fraction * static_cast<double>(sorted.size()));
  size_t index = static_cast<size_t>(std::max(1.0, position)) - 1;
  return sorted[std::min(index, sorted.size() - 1)];
}

}  // namespace qlarank
