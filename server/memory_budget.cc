#include "server/memory_budget.h"

#include <filesystem>
#include <system_error>

#include "model/bundle.h"
#include "model/item_table.h"

namespace qlarank {
namespace {

// What of a bundle is in memory whatever is in demand: its files, but for the
// items' if they are served from a file of our own.
uint64_t FolderBytes(const ModelOptions& model) {
  std::error_code error;
  uint64_t bytes = 0;
  for (const auto& file :
       std::filesystem::directory_iterator(model.path, error)) {
    if (!model.item_table_path.empty() &&
        file.path().filename() == "items.safetensors") {
      continue;
    }
    const uint64_t size = file.file_size(error);
    if (!error) bytes += size;
  }
  return bytes;
}

}  // namespace

absl::StatusOr<MemoryPlan> PlanMemoryForBundles(const ServerOptions& options) {
  uint64_t bundles_bytes = 0;
  for (const ModelOptions& model : options.models) {
    bundles_bytes += FolderBytes(model);
    // Whoever loads the model says what is wrong with it.
    if (const auto spec = Bundle::LoadSpec(model.path); spec.ok()) {
      bundles_bytes += model.item_table_path.empty()
                           ? ItemTable::Bytes(*spec, model.item_share_bytes)
                           : ItemTable::ResidentBytes(*spec);
    }
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
