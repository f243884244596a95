// How good rankings are: the usual measures, averaged over users.
#ifndef QLARANK_CLI_RANKING_QUALITY_H_
#define QLARANK_CLI_RANKING_QUALITY_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/time/time.h"

namespace qlarank {

class RankingQuality {
 public:
  struct Measure {
    std::string name;
    double value;
  };

  explicit RankingQuality(size_t k) : k_(k) {}

  // `ranked` is best first; its first k count. `relevant` is sorted, each item
  // once, not empty.
  void Add(const std::vector<uint64_t>& ranked,
           const std::vector<uint64_t>& relevant);

  // "hit": share of users with any relevant item among the k. "precision":
  // share of the k that is relevant. "recall": share of the relevant that is
  // among the k. "ndcg": discounted gain over the best that was possible,
  // relevance 0 or 1.
  std::vector<Measure> Measures() const;
  size_t k() const { return k_; }
  uint64_t users() const { return users_; }
  // Whether some user had more than one relevant item.
  bool many_relevant() const { return many_relevant_; }

 private:
  size_t k_;
  uint64_t users_ = 0;
  bool many_relevant_ = false;
  // Sums over users.
  double hits_ = 0;
  double precision_ = 0;
  double recall_ = 0;
  double ndcg_ = 0;
};

// The smallest of the durations that `fraction` of them do not exceed.
// REQUIRES: not empty, sorted; fraction in (0, 1].
absl::Duration Percentile(const std::vector<absl::Duration>& sorted,
                          double fraction);

}  // namespace qlarank

#endif  // QLARANK_CLI_RANKING_QUALITY_H_
