#include "server/partition/partitions.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/blocking_counter.h"
#include "absl/time/clock.h"

namespace qlarank {
absl::StatusOr<std::unique_ptr<Partitions>> Partitions::Create(
    StateStore& store, const Registry& registry, UserStates& states,
    Metrics& metrics, const Options& options) {
  if (options.owners > store.num_partitions()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "ingest.shards: ", options.owners, "; must be at most the ",
        store.num_partitions(), " partitions that the store was made with"));
  }
  auto partitions = std::unique_ptr<Partitions>(
      new Partitions(store, states, metrics, options));
  absl::Status status = partitions->marks_.Load();
  for (const auto& owner : partitions->owners_) status.Update(owner->Load());
  if (!status.ok()) return status;
  for (const LoadedModelPtr& model : registry.models()) {
    partitions->AddModel(model);
  }
  return partitions;
}

Partitions::Partitions(StateStore& store, UserStates& states, Metrics& metrics,
                       const Options& options)
    : num_partitions_(store.num_partitions()),
      num_slots_(options.fold_threads),
      states_(states),
      marks_(store, metrics.ingest.source_marks),
      pool_(std::make_unique<OwnerPool>(options.owners + options.fold_threads,
                                        options.fold_threads)) {
  for (size_t i = 0; i < options.owners; ++i) {
    Owner::Options owner;
    owner.owner = i;
    owner.num_owners = options.owners;
    owner.max_group_events = options.max_group_events;
    owner.max_sources_per_user = options.max_sources_per_user;
    owner.catalogue = options.catalogue;
    owner.request_log = options.request_log;
    owners_.push_back(
        std::make_unique<Owner>(store, marks_, metrics, owner, *pool_));
    pool_->Add(*owners_.back());
  }
}

Partitions::~Partitions() { pool_ = nullptr; }

void Partitions::AwaitEach(OwnerAction act) {
  absl::BlockingCounter owners(static_cast<int>(num_owners()));
  for (const auto& owner : owners_) {
    act(*owner, [&owners] { owners.DecrementCount(); });
  }
  owners.Wait();
}

void Partitions::AddModel(const LoadedModelPtr& model) {
  const auto folded =
      std::make_shared<const FoldedModel>(states_.Of(model), num_slots_);
  AwaitEach([&folded](Owner& owner, absl::AnyInvocable<void()> done) {
    owner.AddModel(folded, std::move(done));
  });
}

void Partitions::RemoveModel(const LoadedModel& model) {
  AwaitEach([&model](Owner& owner, absl::AnyInvocable<void()> done) {
    owner.RemoveModel(model.id, std::move(done));
  });
}

void Partitions::CatchUp(const LoadedModel& model, absl::string_view user_id) {
  OwnerOf(user_id).CatchUp(model.id, user_id);
}

void Partitions::Drain() {
  AwaitEach([](Owner& owner, absl::AnyInvocable<void()> done) {
    owner.Do(std::move(done));
  });
}

bool Partitions::WaitUntilFolded(absl::Duration timeout) {
  const absl::Time deadline = absl::Now() + timeout;
  // What was acknowledged may not have been put before the models yet: it is
  // before the owner's next turn.
  Drain();
  for (const auto& owner : owners_) {
    if (!owner->WaitIdle(deadline)) return false;
  }
  return true;
}

}  // namespace qlarank
