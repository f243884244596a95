#include "config/memory_plan.h"

#include <algorithm>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace qlarank {
namespace {

constexpr uint64_t kMiB = 1 << 20;

// Measured of an idle server with one small model, and of messages and tiles
// under full load (docs/performance.md, section memory).
constexpr uint64_t kBaseBytes = 64 * kMiB;
// Events at hand of one owner and model (FoldQueue::kMaxHeldEvents), and states
// under way of one who folds.
constexpr uint64_t kHeldEventsBytes = 8 * kMiB;
constexpr uint64_t kFoldingBytes = 4 * kMiB;
// Requests that wait to be scored again (ShadowQueue::kMaxBytes).
constexpr uint64_t kShadowBytes = 8 * kMiB;
// An event that waits to be appended: its message, and the copy in a batch.
constexpr uint64_t kQueuedEventBytes = 128;
// One part in so many is left for what the allocator cannot use.
constexpr uint64_t kHolesShare = 16;

// Messages that are not complete: as much without a budget, a share of one.
constexpr uint64_t kMostUnfinished = 256 * kMiB;
constexpr uint64_t kUnfinishedShare = 16;

// Below these a cache does not do what it is for.
constexpr uint64_t kLeastHeads = 1 * kMiB;
constexpr uint64_t kLeastBlocks = 8 * kMiB;
constexpr uint64_t kLeastReadings = 1 * kMiB;

// Its queue, and a record that is being written or looked at, twice.
uint64_t RequestLogBytes(const ServerOptions& options) {
  if (!options.request_log.enabled()) return 0;
  return options.request_log.max_queue_bytes +
         2 * uint64_t{options.limits.max_message_bytes};
}

uint64_t ProcessBytes(const ServerOptions& options) {
  const IngestOptions& ingest = options.ingest;
  return kBaseBytes + kShadowBytes +
         ProcessBytesOfModel(ingest) * options.models.size() +
         kQueuedEventBytes * ingest.shards * ingest.max_queued_events +
         RequestLogBytes(options) +
         options.memory.budget_bytes / kHolesShare;
}

uint64_t UnfinishedBytes(const ServerOptions& options) {
  // One message, and what it takes beside its bytes.
  const uint64_t least = uint64_t{options.limits.max_message_bytes} / 16 * 17;
  const uint64_t budget = options.memory.budget_bytes;
  const uint64_t share = budget == 0 ? kMostUnfinished
                                     : std::min(budget / kUnfinishedShare,
                                                kMostUnfinished);
  return std::max(least, share);
}

// The least that a cache takes: what is configured, if it is.
uint64_t Least(uint64_t configured, uint64_t least) {
  return configured > 0 ? configured : least;
}

absl::Status TooSmall(const ServerOptions& options, const MemoryPlan& least) {
  const auto set = [](uint64_t configured) {
    return configured > 0 ? "" : " at least";
  };
  const StoreOptions& store = options.store;
  return absl::InvalidArgumentError(absl::StrCat(
      "memory.budget_bytes: ", options.memory.budget_bytes,
      "; its parts take ", least.total_bytes(), ": the process ",
      least.process_bytes, ", unfinished messages ", least.unfinished_bytes,
      ", the models' files ", least.bundles_bytes, ", readings ",
      least.reading_cache_bytes, ", store.head_cache_bytes",
      set(store.head_cache_bytes), " ",
      least.head_cache_bytes, ", store.block_cache_bytes",
      set(store.block_cache_bytes), " ", least.block_cache_bytes,
      ", store.user_cache_bytes", set(store.user_cache_bytes), " ",
      least.user_cache_bytes));
}

}  // namespace

uint64_t ProcessBytesOfModel(const IngestOptions& ingest) {
  return kHeldEventsBytes * ingest.shards + kFoldingBytes * ingest.fold_threads;
}

absl::StatusOr<MemoryPlan> PlanMemory(const ServerOptions& options,
                                      uint64_t bundles_bytes) {
  const StoreOptions& store = options.store;
  MemoryPlan plan;
  plan.process_bytes = ProcessBytes(options);
  plan.unfinished_bytes = UnfinishedBytes(options);
  plan.bundles_bytes = bundles_bytes;
  plan.head_cache_bytes = store.head_cache_bytes;
  plan.block_cache_bytes = store.block_cache_bytes;
  plan.user_cache_bytes = store.user_cache_bytes;
  const uint64_t budget = options.memory.budget_bytes;
  if (budget == 0) {
    plan.reading_cache_bytes = store.reading_cache_bytes;
    return plan;
  }

  MemoryPlan least = plan;
  least.head_cache_bytes = Least(store.head_cache_bytes, kLeastHeads);
  least.block_cache_bytes = Least(store.block_cache_bytes, kLeastBlocks);
  least.user_cache_bytes = Least(store.user_cache_bytes, kLeastUserCacheBytes);
  least.reading_cache_bytes = kLeastReadings;
  if (least.total_bytes() > budget) return TooSmall(options, least);

  uint64_t left = budget - plan.total_bytes();
  plan.reading_cache_bytes = std::clamp(left / 32, kLeastReadings,
                                        StoreOptions().reading_cache_bytes);
  left -= plan.reading_cache_bytes;
  if (store.head_cache_bytes == 0) {
    plan.head_cache_bytes = std::clamp(left / 32, kLeastHeads,
                                       StoreOptions().head_cache_bytes);
    left -= plan.head_cache_bytes;
  }
  if (store.block_cache_bytes == 0) {
    plan.block_cache_bytes = store.user_cache_bytes > 0
                                 ? left
                                 : std::max(left / 5, kLeastBlocks);
    left -= plan.block_cache_bytes;
  }
  if (store.user_cache_bytes == 0) plan.user_cache_bytes = left;
  return plan;
}

}  // namespace qlarank
