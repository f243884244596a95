#include "server/partition/partitions.h"

#include <algorithm>

#include "absl/synchronization/blocking_counter.h"
#include "absl/time/clock.h"

namespace qlarank {

absl::StatusOr<std::unique_ptr<Partitions>> Partitions::Create(
    StateStore& store, const ModelRegistry& models, Metrics& metrics,
    const Options& options) {
  auto partitions = std::unique_ptr<Partitions>(
      new Partitions(store, models, metrics, options));
  if (absl::Status status = partitions->marks_.Load(); !status.ok()) {
    return status;
  }
  return partitions;
}

Partitions::Partitions(StateStore& store, const ModelRegistry& models,
                       Metrics& metrics, const Options& options)
    : models_(models),
      marks_(store, metrics.ingest.source_marks),
      scratch_(options.fold_threads),
      pool_(std::make_unique<OwnerPool>(options.count + options.fold_threads,
                                        options.fold_threads)) {
  for (auto& of_slot : scratch_) {
    for (const auto& model : models.models()) {
      of_slot.push_back(model->engine->NewScratch());
    }
  }
  for (size_t i = 0; i < options.count; ++i) {
    Owner::Options owner;
    owner.partition = i;
    owner.max_group_events = options.max_group_events;
    owner.max_sources_per_user = options.max_sources_per_user;
    owner.event_schema = models.event_schema();
    owners_.push_back(std::make_unique<Owner>(store, models, marks_, metrics,
                                              owner, scratch_, *pool_));
    pool_->Add(*owners_.back());
  }
}

Partitions::~Partitions() { pool_ = nullptr; }

void Partitions::CatchUp(const ServedModel& model, absl::string_view user_id) {
  const auto& models = models_.models();
  const auto found =
      std::find_if(models.begin(), models.end(),
                   [&](const auto& one) { return one.get() == &model; });
  OwnerOf(user_id).CatchUp(found - models.begin(), user_id);
}

void Partitions::Drain() {
  absl::BlockingCounter owners(static_cast<int>(size()));
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
    for (size_t model = 0; model < models_.models().size(); ++model) {
      if (!owner->folds(model).WaitIdle(deadline)) return false;
    }
  }
  return true;
}

}  // namespace qlarank
