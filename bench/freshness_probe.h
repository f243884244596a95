// How long an acknowledged event takes until a plain Rank sees it: appends one
// event at a time to a user of its own and ranks one item until the state that
// was used holds the event.
#ifndef QLARANK_BENCH_FRESHNESS_PROBE_H_
#define QLARANK_BENCH_FRESHNESS_PROBE_H_

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "cli/client.h"

namespace qlarank::bench {

class FreshnessProbe {
 public:
  // Begins to probe as `user_id`. `client` must outlive the probe.
  FreshnessProbe(const Client& client, std::string user_id);
  ~FreshnessProbe();

  // Ends probing; one time per event seen. Once.
  absl::StatusOr<std::vector<absl::Duration>> Stop();

 private:
  void Loop();
  // Appends event `sequence` and waits for it.
  absl::StatusOr<absl::Duration> ProbeOnce(uint64_t sequence);

  const Client& client_;
  const std::string user_id_;
  std::atomic<bool> stopping_ = false;
  absl::Status status_;                  // of the thread, until it is joined
  std::vector<absl::Duration> samples_;  // likewise
  std::thread thread_;
};

}  // namespace qlarank::bench

#endif  // QLARANK_BENCH_FRESHNESS_PROBE_H_
