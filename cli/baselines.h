// Rankings without a model, which a model has to beat (docs/quality.md).
//
// Each ranks all items of a history by a score. Ties go to the more popular
// item, then to the lower id, so that a ranking is the same wherever it is
// made: trainer/baselines.py makes the same ones, and tests/baselines holds
// both to it.
#ifndef QLARANK_CLI_BASELINES_H_
#define QLARANK_CLI_BASELINES_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/time/time.h"
#include "cli/event_history.h"

namespace qlarank {

// Thread-safe.
class Baselines {
 public:
  static constexpr absl::Duration kRecent = absl::Hours(30 * 24);
  static constexpr absl::Duration kHalfLife = absl::Hours(180 * 24);

  // `history` outlives this and does not change. `cut`: before it is the
  // history.
  Baselines(const EventHistory& history, absl::Time cut,
            absl::Duration half_life);

  // All items by how many events there are; by how many in the last kRecent
  // before the cut.
  const std::vector<uint64_t>& Popularity() const { return popularity_; }
  const std::vector<uint64_t>& RecentPopularity() const { return recent_; }

  // The first `k`. A user's own items by how often they had them, then all
  // others by popularity.
  std::vector<uint64_t> OwnCounts(const std::string& user, size_t k) const;
  // The same, but each event counts 2^(-age / half-life).
  std::vector<uint64_t> OwnDecayedCounts(const std::string& user,
                                         size_t k) const;

 private:
  struct Scored {
    uint64_t item;
    double score;
  };

  void Sort(std::vector<Scored>& items) const;
  std::vector<uint64_t> OwnFirst(std::vector<Scored> own, size_t k) const;

  const EventHistory& history_;
  const absl::Duration half_life_;
  std::vector<uint64_t> popularity_;
  // Of each item in that order, which holds both rules for ties.
  absl::flat_hash_map<uint64_t, size_t> places_;
  std::vector<uint64_t> recent_;
};

}  // namespace qlarank

#endif  // QLARANK_CLI_BASELINES_H_
