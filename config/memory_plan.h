// How memory.budget_bytes is divided. What the process needs besides its caches
// comes first, by the configuration's own bounds; the caches that are not set
// get what is left.
//
// Thread-safe: pure functions.
#ifndef QLARANK_CONFIG_MEMORY_PLAN_H_
#define QLARANK_CONFIG_MEMORY_PLAN_H_

#include <cstdint>

#include "absl/status/statusor.h"
#include "config/server_options.h"

namespace qlarank {

struct MemoryPlan {
  // Code, buffers, what is under way at once, and the allocator's holes.
  uint64_t process_bytes = 0;
  // Messages that clients have begun and not completed, on all connections.
  uint64_t unfinished_bytes = 0;
  // The models' files, which are read into memory.
  uint64_t bundles_bytes = 0;
  uint64_t head_cache_bytes = 0;
  uint64_t block_cache_bytes = 0;
  uint64_t reading_cache_bytes = 0;
  uint64_t user_cache_bytes = 0;

  uint64_t total_bytes() const {
    return process_bytes + unfinished_bytes + bundles_bytes +
           head_cache_bytes + block_cache_bytes + reading_cache_bytes +
           user_cache_bytes;
  }

  bool operator==(const MemoryPlan&) const = default;
};

// The parts of options.memory.budget_bytes, for models whose files are so large
// together. Unfinished messages get a 16th, 256 MiB at most and one message of
// limits.max_message_bytes at least. Readings, which cannot be set, get a 32nd
// of what is left (no more than without a budget). Of the rest for caches that
// are not set, heads get a 32nd, likewise, blocks a fifth and states what
// remains. Without a budget the caches are those of the options.
//
// INVALID_ARGUMENT when the parts exceed the budget, or leave too little for a
// cache: names the fields and the least that would do.
absl::StatusOr<MemoryPlan> PlanMemory(const ServerOptions& options,
                                      uint64_t bundles_bytes);

// Of process_bytes, for each model that is served: events at hand, and states
// that are being folded.
uint64_t ProcessBytesOfModel(const IngestOptions& ingest);

// With less, states do not stay for as long as they are used.
inline constexpr uint64_t kLeastUserCacheBytes = uint64_t{8} << 20;

}  // namespace qlarank

#endif  // QLARANK_CONFIG_MEMORY_PLAN_H_
