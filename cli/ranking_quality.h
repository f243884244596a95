// How good rankings are: the usual measures, averaged over users.
#ifndef QLARANK_CLI_RANKING_QUALITY_H_
#define QLARANK_CLI_RANKING_QUALITY_H_

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/time/time.h"

namespace qlarank {

// A mean and how far it may be off.
class Mean {
 public:
  void Add(double value);
  // NaN without values.
  double value() const;
  // Its standard error: the deviation of a sample over the root of its size.
  // NaN for fewer than two values.
  double standard_error() const;
  uint64_t count() const { return count_; }

 private:
  uint64_t count_ = 0;
  double mean_ = 0;
  double squares_ = 0;  // of distances from the mean, added up (Welford)
};

class RankingQuality {
 public:
  struct Measure {
    std::string name;
    double value;
    double standard_error;  // over users; NaN of one
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
  uint64_t users() const { return means_[0].count(); }
  // Whether some user had more than one relevant item.
  bool many_relevant() const { return many_relevant_; }

 private:
  size_t k_;
  bool many_relevant_ = false;
  std::array<Mean, 4> means_;  // in the order of Measures()
};

// The smallest of the durations that `fraction` of them do not exceed.
// REQUIRES: not empty, sorted; fraction in (0, 1].
absl::Duration Percentile(const std::vector<absl::Duration>& sorted,
                          double fraction);

}  // namespace qlarank

#endif  // QLARANK_CLI_RANKING_QUALITY_H_
