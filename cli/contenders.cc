#include "cli/contenders.h"

#include <algorithm>

#include "absl/functional/function_ref.h"

namespace qlarank {
namespace {

// `rank` gives the ranking for the case of an index.
Contender Judge(std::string name, std::string key, const EvaluationData& data,
                const std::vector<uint32_t>& cutoffs,
                absl::FunctionRef<std::vector<uint64_t>(size_t)> rank) {
  Contender contender{std::move(name), std::move(key), {}};
  for (uint32_t k : cutoffs) contender.qualities.emplace_back(k);
  for (size_t i = 0; i < data.cases.size(); ++i) {
    std::vector<uint64_t> ranked = rank(i);
    for (RankingQuality& quality : contender.qualities) {
      quality.Add(ranked, data.cases[i].items);
    }
  }
  return contender;
}

}  // namespace

std::vector<uint64_t> TopForUser(const EvaluationData& data,
                                 const std::string& user,
                                 const std::vector<uint64_t>& ranked,
                                 size_t k) {
  std::vector<uint64_t> top;
  for (uint64_t item : ranked) {
    if (top.size() == k) break;
    if (data.unseen_only && data.history.HasItem(user, item)) continue;
    top.push_back(item);
  }
  return top;
}

std::vector<Contender> CompareContenders(const EvaluationData& data,
                                         const std::vector<RankJob>& jobs,
                                         const std::vector<uint32_t>& cutoffs) {
  const uint32_t k = *std::max_element(cutoffs.begin(), cutoffs.end());
  const std::vector<uint64_t> popular = data.history.ByPopularity();
  std::vector<Contender> contenders;
  contenders.push_back(Judge("qlarank", "qlarank", data, cutoffs,
                             [&](size_t i) { return jobs[i].ranking.items; }));
  if (!data.unseen_only) {
    contenders.push_back(Judge("the user's own favourites", "favourites", data,
                               cutoffs, [&](size_t i) {
                                 return data.history.Favourites(
                                     data.cases[i].user, k, popular);
                               }));
  }
  contenders.push_back(
      Judge("what everybody takes", "popularity", data, cutoffs, [&](size_t i) {
        return TopForUser(data, data.cases[i].user, popular, k);
      }));
  return contenders;
}

}  // namespace qlarank
