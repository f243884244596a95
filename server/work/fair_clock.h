// When jobs would end if they shared the workers equally: the order in which to
// serve them one after another, so that each ends no later than that.
//
// Serving jobs by the end they would have under equal sharing is the Fair
// Sojourn Protocol (Friedman and Henderson, SIGMETRICS 2003). A short job
// overtakes long ones, jobs of one size keep their order, and no flood of short
// jobs can hold up a long one for longer than sharing would.
//
//   const absl::Duration end = clock.Arrive(work);   // serve smaller ends
//   first
//   ...
//   clock.Advance(done);                             // work done, of any job
//
// Its time is virtual: the service that each of the jobs would have had, so it
// advances by an n-th of the work done while n of them would still be there.
// Not thread-safe.
#ifndef QLARANK_SERVER_WORK_FAIR_CLOCK_H_
#define QLARANK_SERVER_WORK_FAIR_CLOCK_H_

#include <functional>
#include <queue>
#include <vector>

#include "absl/time/time.h"

namespace qlarank {

class FairClock {
 public:
  // A job of so much work arrives. Returns the virtual time at which it would
  // end, whatever arrives later.
  absl::Duration Arrive(absl::Duration work) {
    ends_.push(now_ + work);
    return now_ + work;
  }

  // So much work was done, or has become needless.
  void Advance(absl::Duration work) {
    while (!ends_.empty()) {
      const auto sharing = static_cast<int64_t>(ends_.size());
      const absl::Duration until_next_end = ends_.top() - now_;
      if (work < until_next_end * sharing) {
        now_ += work / sharing;
        return;
      }
      work -= until_next_end * sharing;
      now_ = ends_.top();
      ends_.pop();
    }
  }

  // No job is left: what estimates were wrong by is forgotten.
  void Idle() { ends_ = {}; }

  absl::Duration now() const { return now_; }

 private:
  absl::Duration now_;
  std::priority_queue<absl::Duration, std::vector<absl::Duration>,
                      std::greater<>>
      ends_;
};

}  // namespace qlarank

#endif  // QLARANK_SERVER_WORK_FAIR_CLOCK_H_
