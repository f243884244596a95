#include "server/rollout/model_memory.h"

#include "absl/strings/str_cat.h"
#include "config/memory_plan.h"
#include "server/models/bundle_bytes.h"

namespace qlarank {

ModelMemory::ModelMemory(const ServerOptions& options, UserStates& states)
    : bounded_(options.memory.budget_bytes > 0),
      cache_bytes_(options.store.user_cache_bytes),
      per_model_bytes_(ProcessBytesOfModel(options.ingest)),
      states_(states) {}

absl::Status ModelMemory::Take(const ModelOptions& model) {
  if (!bounded_) return absl::OkStatus();
  const ModelId id(model.name, model.version);
  const uint64_t bytes = BundleBytes(model);
  absl::MutexLock lock(&mutex_);
  Taken others = Sum();
  if (const auto found = bundles_bytes_.find(id);
      found != bundles_bytes_.end()) {
    others.bundles_bytes -= found->second;
    others.process_bytes -= per_model_bytes_;
  }
  const uint64_t wanted = bytes + per_model_bytes_;
  if (others.total_bytes() + wanted + kLeastUserCacheBytes > cache_bytes_) {
    return absl::FailedPreconditionError(absl::StrCat(
        "memory.budget_bytes: the model takes ", wanted,
        ", and the user cache, which gives it, has ",
        cache_bytes_ - others.total_bytes(), " and needs ",
        kLeastUserCacheBytes));
  }
  bundles_bytes_[id] = bytes;
  states_.SetCacheBytes(cache_bytes_ - others.total_bytes() - wanted);
  return absl::OkStatus();
}

void ModelMemory::GiveBack(const std::string& name, uint64_t version) {
  absl::MutexLock lock(&mutex_);
  if (bundles_bytes_.erase({name, version}) == 0) return;
  states_.SetCacheBytes(cache_bytes_ - Sum().total_bytes());
}

ModelMemory::Taken ModelMemory::taken() const {
  absl::MutexLock lock(&mutex_);
  return Sum();
}

ModelMemory::Taken ModelMemory::Sum() const {
  Taken sum;
  for (const auto& [id, bytes] : bundles_bytes_) {
    sum.bundles_bytes += bytes;
    sum.process_bytes += per_model_bytes_;
  }
  return sum;
}

}  // namespace qlarank
