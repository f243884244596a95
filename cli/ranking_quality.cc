#include "cli/ranking_quality.h"

#include <algorithm>
#include <cmath>

namespace qlarank {
namespace {

double Discount(size_t rank) {
  return 1 / std::log2(static_cast<double>(rank) + 2);
}

}  // namespace

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
  ++users_;
  many_relevant_ |= relevant.size() > 1;
  hits_ += found > 0 ? 1 : 0;
  precision_ += found / static_cast<double>(k_);
  recall_ += found / static_cast<double>(relevant.size());
  ndcg_ += gain / best;
}

std::vector<RankingQuality::Measure> RankingQuality::Measures() const {
  const double users = std::max<double>(1, static_cast<double>(users_));
  return {{"hit", hits_ / users},
          {"precision", precision_ / users},
          {"recall", recall_ / users},
          {"ndcg", ndcg_ / users}};
}

absl::Duration Percentile(const std::vector<absl::Duration>& sorted,
                          double fraction) {
  double position = std::ceil(fraction * static_cast<double>(sorted.size()));
  size_t index = static_cast<size_t>(std::max(1.0, position)) - 1;
  return sorted[std::min(index, sorted.size() - 1)];
}

}  // namespace qlarank
