#include "server/memory_budget.h"

#include <filesystem>
#include <system_error>

#include "model/bundle.h"
#include "model/catalogue.h"
#include "model/item_table.h"

namespace qlarank {
namespace {

uint64_t FolderBytes(const std::string& path) {
  std::error_code error;
  uint64_t bytes = 0;
  for (const auto& file : std::filesystem::directory_iterator(path, error)) {
    const uint64_t size = file.file_size(error);
    if (!error) bytes += size;
  }
  return bytes;
}

}  // namespace

absl::StatusOr<MemoryPlan> PlanMemoryForBundles(const ServerOptions& options) {
  uint64_t bundles_bytes = 0;
  for (const ModelOptions& model : options.models) {
    bundles_bytes += FolderBytes(model.path);
    // Whoever loads the model says what is wrong with it.
    if (const auto spec = Bundle::LoadSpec(model.path); spec.ok()) {
      bundles_bytes += ItemTable::Bytes(*spec, model.item_share_bytes);
      bundles_bytes += Catalogue::MostBytes(*spec, model.max_added_items,
                                            model.item_share_bytes);
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
