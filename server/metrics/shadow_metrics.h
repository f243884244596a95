// What is counted of requests that are scored again by another version, and the
// sums of what it says differently. A figure is a sum over requests: its mean in
// some time is what it grew by over what the requests did.
//
// Thread-safe; handles live as long as the registry.
#ifndef QLARANK_SERVER_METRICS_SHADOW_METRICS_H_
#define QLARANK_SERVER_METRICS_SHADOW_METRICS_H_

#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"
#include "prometheus/counter.h"
#include "prometheus/family.h"
#include "prometheus/registry.h"

namespace qlarank {

// Of one task. Each is a sum over `requests`, unless it says otherwise.
struct ShadowTaskSums {
  double requests = 0;
  // In which either version tells candidates apart.
  double ordered_requests = 0;
  // Over these: 1 less Spearman's rank correlation.
  double rank_distance = 0;
  // The share of the first 10 of one that are among those of the other; of all,
  // where there are fewer.
  double top_10_overlap = 0;
  // That asked for an order.
  double top_k_requests = 0;
  // Over these: the same of so many as they asked for.
  double top_k_overlap = 0;
  // The mean over candidates of sigmoid(logit).
  double served_score = 0, shadow_score = 0;

  void Add(const ShadowTaskSums& other);
  friend bool operator==(const ShadowTaskSums&,
                         const ShadowTaskSums&) = default;
};

struct ShadowCandidateSums {
  double all = 0;
  // Known to the other version, and not to this.
  double unknown_to_served = 0, unknown_to_shadow = 0;

  void Add(const ShadowCandidateSums& other);
  friend bool operator==(const ShadowCandidateSums&,
                         const ShadowCandidateSums&) = default;
};

class ShadowMetrics {
 public:
  // The versions that are compared.
  struct Pair {
    std::string model;
    uint64_t served = 0, shadow = 0;
  };

  // `registry` must outlive this.
  explicit ShadowMetrics(prometheus::Registry& registry);

  // Each looks its counters up by their labels: once a request in the sample.
  void CountRequest(const Pair& pair, absl::string_view result);
  void Add(const Pair& pair, absl::string_view task,
           const ShadowTaskSums& sums);
  void Add(const Pair& pair, const ShadowCandidateSums& sums);

 private:
  using Counters = prometheus::Family<prometheus::Counter>;

  Counters& requests_;
  Counters& compared_;
  Counters& ordered_;
  Counters& rank_distance_;
  Counters& top_10_overlap_;
  Counters& top_k_requests_;
  Counters& top_k_overlap_;
  Counters& scores_;
  Counters& candidates_;
  Counters& unknown_;
};

}  // namespace qlarank

#endif  // QLARANK_SERVER_METRICS_SHADOW_METRICS_H_
