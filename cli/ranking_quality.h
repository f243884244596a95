// How good rankings are: the usual measures, averaged over users.
#ifndef QLARANK_CLI_RANKING_QUALITY_H_
#define QLARANK_CLI_RANKING_QUALITY_H_

#include <cstdint>
#include <vector>

#include "absl/time/time.h"

namespace qlarank {

class RankingQuality {
 public:
  explicit RankingQuality(size_t k) : k_(k) {}

  // `ranked` is best first; its first k count. `relevant` is sorted, each item
  // once, not empty.
  void Add(const std::vector<uint64_t>& ranked,
           const std::vector<uint64_t>& relevant);

  // Share of users with any relevant item among the k.
  double hit_rate() const { return Mean(hits_); }
  // Share of the k that is relevant.
  double precision() const { return Mean(precision_); }
  // Discounted gain over the best that was possible, relevance 0 or 1.
  double ndcg() const { return Mean(ndcg_); }
  uint64_t users() const { return users_; }

 private:
  double Mean(double sum) const {
    return users_ == 0 ? 0 : sum / static_cast<double>(users_);
  }

  size_t k_;
  uint64_t users_ = 0;
  double hits_ = 0;
  double precision_ = 0;
  double ndcg_ = 0;
};

// The smallest of the durations that `fraction` of them do not exceed.
// REQUIRES: not empty, sorted; fraction in (0, 1].
absl::Duration Percentile(const std::vector<absl::Duration>& sorted,
                          double fraction);

}  // namespace qlarank

#endif  // QLARANK_CLI_RANKING_QUALITY_H_
