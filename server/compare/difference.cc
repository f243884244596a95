#include "server/compare/difference.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <limits>
#include <numeric>

#include "server/rank/rank_order.h"

namespace qlarank {
namespace {

constexpr int kFractionBits = 30;
constexpr size_t kTop = 10;

double Rounded(double figure) {
  return std::ldexp(std::round(std::ldexp(figure, kFractionBits)),
                    -kFractionBits);
}

// Twice the rank of each, less that of the middle: whole numbers, 0 together.
std::vector<int64_t> CentredRanks(const std::vector<double>& values) {
  std::vector<uint32_t> order(values.size());
  std::iota(order.begin(), order.end(), 0);
  std::sort(order.begin(), order.end(), [&](uint32_t a, uint32_t b) {
    return values[a] < values[b];
  });
  const auto n = static_cast<int64_t>(values.size());
  std::vector<int64_t> ranks(values.size());
  for (int64_t begin = 0; begin < n;) {
    int64_t end = begin;
    while (end < n && values[order[end]] == values[order[begin]]) ++end;
    for (int64_t i = begin; i < end; ++i) ranks[order[i]] = begin + end - n;
    begin = end;
  }
  return ranks;
}

double Overlap(std::vector<uint32_t> first, std::vector<uint32_t> second) {
  const auto size = static_cast<double>(first.size());
  std::sort(first.begin(), first.end());
  std::sort(second.begin(), second.end());
  std::vector<uint32_t> both;
  std::set_intersection(first.begin(), first.end(), second.begin(),
                        second.end(), std::back_inserter(both));
  return static_cast<double>(both.size()) / size;
}

std::vector<double> LogitsOf(const CandidateScores& scores,
                             const std::string& task) {
  const size_t place =
      std::find(scores.tasks.begin(), scores.tasks.end(), task) -
      scores.tasks.begin();
  std::vector<double> logits;
  for (size_t at = place; at < scores.logits.size();
       at += scores.tasks.size()) {
    logits.push_back(scores.logits[at]);
  }
  return logits;
}

double MeanScore(const std::vector<double>& logits) {
  double sum = 0;
  for (const double logit : logits) sum += 1 / (1 + std::exp(-logit));
  return Rounded(sum / static_cast<double>(logits.size()));
}

// Of the order alone.
ShadowTaskSums OrderSums(const std::vector<double>& first,
                         const std::vector<double>& second, uint32_t top_k) {
  const auto overlap = [&](size_t k) {
    return Rounded(Overlap(TopOf(first, k), TopOf(second, k)));
  };
  ShadowTaskSums sums;
  sums.requests = 1;
  const double distance = RankDistance(first, second);
  if (!std::isnan(distance)) {
    sums.ordered_requests = 1;
    sums.rank_distance = Rounded(distance);
  }
  sums.top_10_overlap = overlap(kTop);
  if (top_k > 0) {
    sums.top_k_requests = 1;
    sums.top_k_overlap = overlap(top_k);
  }
  return sums;
}

}  // namespace

double RankDistance(const std::vector<double>& first,
                    const std::vector<double>& second) {
  const std::vector<int64_t> a = CentredRanks(first);
  const std::vector<int64_t> b = CentredRanks(second);
  // Exact in 64 bits up to 2 million candidates.
  int64_t aa = 0, ab = 0, bb = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    aa += a[i] * a[i];
    ab += a[i] * b[i];
    bb += b[i] * b[i];
  }
  if (aa == 0 || bb == 0) return std::numeric_limits<double>::quiet_NaN();
  // The root of a square is what was squared: the same order is at 0.
  return 1 - static_cast<double>(ab) / std::sqrt(static_cast<double>(aa) *
                                                 static_cast<double>(bb));
}

void Difference::Add(const Difference& other) {
  for (const auto& [task, sums] : other.by_task) by_task[task].Add(sums);
  candidates.Add(other.candidates);
}

Difference Compare(const CandidateScores& first, const CandidateScores& second,
                   uint32_t top_k) {
  Difference difference;
  for (const std::string& task : first.tasks) {
    if (std::find(second.tasks.begin(), second.tasks.end(), task) ==
        second.tasks.end()) {
      continue;
    }
    const std::vector<double> served = LogitsOf(first, task);
    const std::vector<double> shadow = LogitsOf(second, task);
    ShadowTaskSums& sums = difference.by_task[task];
    sums = OrderSums(served, shadow, top_k);
    sums.served_score = MeanScore(served);
    sums.shadow_score = MeanScore(shadow);
  }
  if (difference.by_task.empty()) return difference;
  if (first.tasks == second.tasks) {
    difference.by_task[Difference::kByValue] =
        OrderSums(ValuesOf(first.logits, first.value_weights),
                  ValuesOf(second.logits, second.value_weights), top_k);
  }
  ShadowCandidateSums& candidates = difference.candidates;
  candidates.all = static_cast<double>(first.num_candidates());
  for (size_t i = 0; i < first.unknown.size(); ++i) {
    candidates.unknown_to_served += first.unknown[i] && !second.unknown[i];
    candidates.unknown_to_shadow += second.unknown[i] && !first.unknown[i];
  }
  return difference;
}

}  // namespace qlarank
