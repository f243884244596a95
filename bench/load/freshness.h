// How long after its acknowledgement an event counts in a ranking: appends one
// event at a time for users of its own and asks RankService until the state
// that a reply was made from holds it. Users are asked about once before, so
// that their states are cached and nothing but the folder brings them forward.
#ifndef QLARANK_BENCH_LOAD_FRESHNESS_H_
#define QLARANK_BENCH_LOAD_FRESHNESS_H_

#include <atomic>
#include <string>

#include "absl/status/status.h"
#include "bench/load/latencies.h"
#include "cli/client.h"

namespace qlarank::bench {

// Probes until `stop`, 50 times a second at most; lags are accurate to 1 ms,
// the pause between two questions. Returns the first error.
absl::Status ProbeFreshness(const Client& client, const std::string& source,
                            int64_t first_second, const std::atomic<bool>& stop,
                            Latencies& lags);

}  // namespace qlarank::bench

#endif  // QLARANK_BENCH_LOAD_FRESHNESS_H_
