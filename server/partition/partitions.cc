#include "server/partition/partitions.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/blocking_counter.h"
#include "absl/time/clock.h"

namespace qlarank {
namespace {

Owner::Models MemoriesOf(const Registry& registry, UserStates& states) {
  Owner::Models memories;
  for (const LoadedModelPtr& model : registry.models()) {
    memories.push_back(states.Of(model));
  }
  return memories;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Partitions>> Partitions::Create(
    StateStore& store, const Registry& registry, UserStates& states,
    Metrics& metrics, const Options& options) {
  if (options.owners > store.num_partitions()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "ingest.shards: ", options.owners, "; must be at most the ",
        store.num_partitions(), " partitions that the store was made with"));
  }
  auto partitions = std::unique_ptr<Partitions>(
      new Partitions(store, registry, states, metrics, options));
  absl::Status status = partitions->marks_.Load();
  for (const auto& owner : partitions->owners_) status.Update(owner->Load());
  if (!status.ok()) return status;
  return partitions;
}

Partitions::Partitions(StateStore& store, const Registry& registry,
                       UserStates& states, Metrics& metrics,
                       const Options& options)
    : num_partitions_(store.num_partitions()),
      models_(MemoriesOf(registry, states)),
      marks_(store, metrics.ingest.source_marks),
      scratch_(options.fold_threads),
      pool_(std::make_unique<OwnerPool>(options.owners + options.fold_threads,
                                        options.fold_threads)) {
  for (auto& of_slot : scratch_) {
    for (const auto& memory : models_) {
      of_slot.push_back(memory->model().engine->NewScratch());
    }
  }
  for (size_t i = 0; i < options.owners; ++i) {
    Owner::Options owner;
    owner.owner = i;
    owner.num_owners = options.owners;
    owner.max_group_events = options.max_group_events;
    owner.max_sources_per_user = options.max_sources_per_user;
    owner.request_log = options.request_log;
    owners_.push_back(std::make_unique<Owner>(store, models_, marks_, metrics,
                                              owner, scratch_, *pool_));
    pool_->Add(*owners_.back());
  }
}

Partitions::~Partitions() { pool_ = nullptr; }

void Partitions::CatchUp(const LoadedModel& model, absl::string_view user_id) {
  const auto found = std::find_if(
      models_.begin(), models_.end(),
      [&](const auto& memory) { return memory->model().id == model.id; });
  // One that was loaded later has no owner who folds for it.
  if (found == models_.end()) return;
  OwnerOf(user_id).CatchUp(found - models_.begin(), user_id);
}

void Partitions::Drain() {
  absl::BlockingCounter owners(static_cast<int>(num_owners()));
  for (const auto& owner : owners_) {
    owner->Do([&owners] { owners.DecrementCount(); });
  }
  owners.Wait();
}

bool Partitions::WaitUntilFolded(absl::Duration timeout) {
  const absl::Time deadline = absl::Now() + timeout;
  // What was acknowledged may not have been put before the models yet: it is
  // before the owner's next turn.
  Drain();
  for (const auto& owner : owners_) {
    for (size_t model = 0; model < models_.size(); ++model) {
      if (!owner->folds(model).WaitIdle(deadline)) return false;
    }
  }
  return true;
}

}  // namespace qlarank
