#include "server/rebuild_command.h"

#include <algorithm>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "server/catalogue/live_catalogue.h"
#include "server/memory_budget.h"
#include "server/metrics/metrics.h"
#include "server/models/load_engine.h"
#include "server/ops/logging.h"
#include "server/rollout/loaded_options.h"
#include "server/services.h"
#include "server/states/state_rebuild.h"
#include "server/work/field_error.h"

namespace qlarank {
namespace {

absl::Status RebuildModel(const ModelOptions& model, size_t num_threads,
                          StateStore& store, LiveCatalogue& catalogue,
                          Metrics& metrics) {
  absl::StatusOr<std::shared_ptr<const Engine>> engine = LoadEngine(model);
  if (!engine.ok()) return engine.status();
  absl::Status joined = catalogue.Join(model.name, model.version, *engine);
  if (!joined.ok()) return joined;
  if (model.default_model) {
    // A log from before there were schemas is of this one, as when serving.
    const auto& names = (*engine)->bundle().spec().event_features();
    const auto schema = store.PutSchema({names.begin(), names.end()});
    if (!schema.ok()) return schema.status();
  }
  absl::Status status = store.OpenFingerprint((*engine)->state_fingerprint());
  if (!status.ok()) return status;

  RebuildOptions options;
  options.num_threads = num_threads;
  options.on_progress = [&](const RebuildTotals& totals) {
    LogInfo("rebuilding states", {{"model", model.name},
                                  {"version", model.version},
                                  {"users", totals.users},
                                  {"events", totals.events}});
  };
  const absl::Time begin = absl::Now();
  const auto totals = RebuildStates(*std::move(engine), store, metrics, options);
  if (!totals.ok()) return totals.status();
  const double seconds = absl::ToDoubleSeconds(absl::Now() - begin);
  LogInfo("rebuilt states",
          {{"model", model.name},
           {"version", model.version},
           {"users", totals->users},
           {"events", totals->events},
           {"kept_users", totals->kept_users},
           {"trimmed_users", totals->trimmed_users},
           {"seconds", seconds},
           {"events_per_s_per_core", totals->events / seconds / num_threads}});
  if (totals->trimmed_users > 0) {
    return absl::FailedPreconditionError(absl::StrCat(
        "the logs of ", totals->trimmed_users,
        " users were trimmed before this model had a snapshot of them: it "
        "cannot rank for them (docs/operations.md, Erasure and "
        "retention)"));
  }
  if (totals->failed_users == 0) return absl::OkStatus();
  return absl::DataLossError(absl::StrCat("the log of ", totals->failed_users,
                                          " users could not be read"));
}

}  // namespace

absl::Status RebuildConfiguredStates(const ServerOptions& options) {
  const absl::StatusOr<MemoryPlan> plan = PlanMemoryForBundles(options);
  if (!plan.ok()) return plan.status();
  const auto store = OpenConfiguredStore(WithCachesOf(*plan, options.store));
  if (!store.ok()) return store.status();
  Metrics metrics;
  const auto catalogue = LiveCatalogue::Open(**store, metrics.catalogue);
  if (!catalogue.ok()) return catalogue.status();
  absl::Status status;
  // The default one first: the others' features are found by its names.
  std::vector<ModelOptions> models = options.models;
  std::stable_partition(models.begin(), models.end(), [](const auto& model) {
    return model.default_model;
  });
  const auto remembered = RememberedModels(options, **store);
  if (!remembered.ok()) return remembered.status();
  for (const RememberedModel& model : *remembered) {
    if (model.options.ok()) {
      models.push_back(*model.options);
      continue;
    }
    // As when serving, which lists it as FAILED.
    LogWarning("states of a version that was loaded are not rebuilt",
               {{"model", model.wanted.name},
                {"version", model.wanted.version},
                {"error", model.options.status()}});
  }
  for (const ModelOptions& model : models) {
    status.Update(Within(
        absl::StrCat(ModelLabel(model.name, model.version), ": "),
        RebuildModel(model, options.ingest.fold_threads, **store, **catalogue,
                     metrics)));
  }
  return status;
}

}  // namespace qlarank
