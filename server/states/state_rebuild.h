// Makes every user's state of a model anew from the event log, on several
// threads, and stores the snapshots: for a model that has none yet, so that
// nobody waits for a long replay, or when they are not to be trusted.
//
// The states are those of live folding, bit for bit. Reads whole histories and
// looks at no snapshot; keeps no more in memory than what is being folded.
#ifndef QLARANK_SERVER_STATES_STATE_REBUILD_H_
#define QLARANK_SERVER_STATES_STATE_REBUILD_H_

#include <cstddef>
#include <cstdint>
#include <functional>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "model/engine.h"
#include "server/metrics/metrics.h"
#include "state_store/state_store.h"

namespace qlarank {

struct RebuildTotals {
  uint64_t users = 0;
  uint64_t events = 0;
  uint64_t failed_users = 0;  // of logs that cannot be read, or folded
  // Of trimmed logs, with a snapshot of what is gone: they keep it.
  uint64_t kept_users = 0;
  // Likewise without one: this model cannot make their states.
  uint64_t trimmed_users = 0;
};

struct RebuildOptions {
  size_t num_threads = 1;
  // Called by one of the threads every `progress_interval`.
  std::function<void(const RebuildTotals&)> on_progress = nullptr;
  absl::Duration progress_interval = absl::Seconds(5);
};

// Blocks until it is done. A user whose log is damaged or was trimmed is counted
// and left out.
// An error is one of the store: some snapshots may have been written.
// REQUIRES: the engine's fingerprint is open; nobody appends or erases.
absl::StatusOr<RebuildTotals> RebuildStates(std::shared_ptr<const Engine> engine,
                                            StateStore& store, Metrics& metrics,
                                            const RebuildOptions& options);

}  // namespace qlarank

#endif  // QLARANK_SERVER_STATES_STATE_REBUILD_H_
