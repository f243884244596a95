#include "server/memory_budget.h"

#include "server/models/bundle_bytes.h"

namespace qlarank {

absl::StatusOr<MemoryPlan> PlanMemoryForBundles(const ServerOptions& options) {
  uint64_t bundles_bytes = 0;
  for (const ModelOptions& model : options.models) {
    bundles_bytes += BundleBytes(model);
  }
  absl::StatusOr<MemoryPlan> plan = PlanMemory(options, bundles_bytes);
  if (plan.ok()) return plan;
  return absl::FailedPreconditionError(plan.status().message());
}

StoreOptions WithCachesOf(const MemoryPlan& plan, StoreOptions store) {
  store.head_cache_bytes = plan.head_cache_bytes;
  store.block_cache_bytes = plan.block_cache_bytes;
  store.user_cache_bytes = plan.user_cache_bytes;
  store.reading_cache_bytes = plan.reading_cache_bytes;
  return store;
}

}  // namespace qlarank
