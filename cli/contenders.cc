#include "cli/contenders.h"

#include <algorithm>
#include <iterator>

#include "absl/algorithm/container.h"
#include "absl/container/flat_hash_map.h"
#include "absl/functional/function_ref.h"
#include "cli/baselines.h"

namespace qlarank {
namespace {

// Of what came, the items that are wanted.
std::vector<uint64_t> Only(const std::vector<uint64_t>& items,
                           absl::FunctionRef<bool(uint64_t)> wanted) {
  std::vector<uint64_t> found;
  absl::c_copy_if(items, std::back_inserter(found), wanted);
  return found;
}

void AddTo(Qualities& qualities, const std::vector<uint64_t>& ranked,
           const std::vector<uint64_t>& relevant) {
  if (relevant.empty()) return;
  for (RankingQuality& quality : qualities) quality.Add(ranked, relevant);
}

// `rank` gives the ranking for the case of an index; `known` are the items that
// somebody had.
Contender Judge(std::string name, const EvaluationData& data,
                const absl::flat_hash_map<uint64_t, uint64_t>& known,
                const std::vector<uint32_t>& cutoffs,
                absl::FunctionRef<std::vector<uint64_t>(size_t)> rank) {
  const Qualities none(cutoffs.begin(), cutoffs.end());
  Contender contender{std::move(name), none, none, none, none};
  for (size_t i = 0; i < data.cases.size(); ++i) {
    const EvaluationCase& next = data.cases[i];
    const std::vector<uint64_t> ranked = rank(i);
    AddTo(contender.all, ranked, next.items);
    auto had = [&](uint64_t item) {
      return data.history.HasItem(next.user, item);
    };
    AddTo(contender.repeat, ranked, Only(next.items, had));
    AddTo(contender.first_time, ranked,
          Only(next.items, [&](uint64_t item) { return !had(item); }));
    AddTo(contender.new_item, ranked, Only(next.items, [&](uint64_t item) {
            return !known.contains(item);
          }));
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
                                         const std::vector<uint32_t>& cutoffs,
                                         absl::Duration half_life) {
  const uint32_t k = *std::max_element(cutoffs.begin(), cutoffs.end());
  const Baselines baselines(data.history, data.cut, half_life);
  const auto known = data.history.CountItems(absl::InfinitePast());
  std::vector<Contender> contenders;
  auto judge = [&](std::string name,
                   absl::FunctionRef<std::vector<uint64_t>(size_t)> rank) {
    contenders.push_back(Judge(std::move(name), data, known, cutoffs, rank));
  };
  judge("popularity", [&](size_t i) {
    return TopForUser(data, data.cases[i].user, baselines.Popularity(), k);
  });
  if (!data.unseen_only) {
    judge("recent popularity", [&](size_t i) {
      return TopForUser(data, data.cases[i].user, baselines.RecentPopularity(),
                        k);
    });
    judge("own counts",
          [&](size_t i) { return baselines.OwnCounts(data.cases[i].user, k); });
    judge("own decayed counts", [&](size_t i) {
      return baselines.OwnDecayedCounts(data.cases[i].user, k);
    });
  }
  judge("qlarank", [&](size_t i) { return jobs[i].ranking.items; });
  return contenders;
}

}  // namespace qlarank
