#include "server/states/migrations.h"

#include <utility>

#include "server/models/load_engine.h"
#include "server/ops/logging.h"

namespace qlarank {

Migrations::Migrations(UserStates& states, const EventLog& log,
                       Metrics& metrics, const MigrationOptions& options,
                       BackgroundPace::Busy busy)
    : states_(states),
      log_(log),
      metrics_(metrics),
      options_{options.processor_share, options.max_events_behind,
               std::move(busy)} {}

void Migrations::StopAll() {
  absl::flat_hash_map<uint32_t, std::shared_ptr<Migration>> ending;
  {
    absl::MutexLock lock(&mutex_);
    stopped_ = true;
    ending.swap(by_model_);
  }
  for (const auto& [id, migration] : ending) migration->Stop();
}

void Migrations::Begin(const LoadedModelPtr& model,
                       absl::AnyInvocable<void()> on_done) {
  absl::MutexLock lock(&mutex_);
  if (stopped_ || by_model_.contains(model->id)) return;
  metrics_.migration.begun.Increment();
  by_model_[model->id] = std::make_shared<Migration>(
      states_.Of(model), log_, options_,
      [this, model, on_done = std::move(on_done)](
          const Migration::Progress& progress) mutable {
        NoteEnd(*model, progress);
        const bool done = progress.phase == Migration::Phase::kDone;
        if (done && on_done != nullptr) on_done();
      });
}

void Migrations::End(const LoadedModel& model) {
  std::shared_ptr<Migration> ending;
  {
    absl::MutexLock lock(&mutex_);
    const auto found = by_model_.find(model.id);
    if (found == by_model_.end()) return;
    ending = std::move(found->second);
    by_model_.erase(found);
  }
  ending->Stop();
}

std::optional<Migration::Progress> Migrations::Of(uint32_t model_id) const {
  std::shared_ptr<Migration> migration;
  {
    absl::MutexLock lock(&mutex_);
    const auto found = by_model_.find(model_id);
    if (found == by_model_.end()) return std::nullopt;
    migration = found->second;
  }
  return migration->progress();
}

void Migrations::NoteEnd(const LoadedModel& model,
                         const Migration::Progress& progress) {
  const bool done = progress.phase == Migration::Phase::kDone;
  (done ? metrics_.migration.done : metrics_.migration.failed).Increment();
  const LogFields fields = {{"model", model.name},
                            {"version", model.version},
                            {"users", progress.users},
                            {"covered_users", progress.covered_users},
                            {"failed_users", progress.failed_users},
                            {"trimmed_users", progress.trimmed_users},
                            {"events", progress.folded_events},
                            {"error", progress.status.message()}};
  if (done) {
    LogInfo("migrated", fields);
  } else {
    LogError("migration failed", fields);
  }
}

}  // namespace qlarank
