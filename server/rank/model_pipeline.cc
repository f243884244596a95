#include "server/rank/model_pipeline.h"

#include <memory>
#include <string>
#include <utility>

#include "server/metrics/version.h"
#include "server/models/model_description.h"
#include "server/models/model_page.h"
#include "server/work/overload.h"

namespace qlarank {
namespace {

v1::ModelMigration::Phase PhaseOf(Migration::Phase phase) {
  switch (phase) {
    case Migration::Phase::kCounting:
      return v1::ModelMigration::PHASE_COUNTING;
    case Migration::Phase::kFolding:
      return v1::ModelMigration::PHASE_FOLDING;
    case Migration::Phase::kDone:
      return v1::ModelMigration::PHASE_DONE;
    case Migration::Phase::kFailed:
      return v1::ModelMigration::PHASE_FAILED;
    case Migration::Phase::kStopped:  // with the model, or the server
      break;
  }
  return v1::ModelMigration::PHASE_UNSPECIFIED;
}

v1::ModelMigration DescribeMigration(const Migration::Progress& progress) {
  v1::ModelMigration described;
  described.set_phase(PhaseOf(progress.phase));
  described.set_users(progress.users);
  described.set_covered_users(progress.covered_users);
  described.set_failed_users(progress.failed_users);
  described.set_trimmed_users(progress.trimmed_users);
  described.set_folded_events(progress.folded_events);
  described.set_events_left(progress.events_left);
  described.set_events_per_second(progress.events_per_second);
  if (progress.time_left.has_value()) {
    described.mutable_time_left()->set_seconds(
        absl::ToInt64Seconds(*progress.time_left));
  }
  described.set_error(std::string(progress.status.message()));
  return described;
}

}  // namespace

void ModelPipeline::AddMigration(const Registry& registry,
                                 v1::Model& model) const {
  const LoadedModelPtr loaded = registry.Find(model.name(), model.version());
  if (loaded == nullptr) return;
  const auto progress = migrations_.Of(loaded->id);
  if (progress) *model.mutable_migration() = DescribeMigration(*progress);
}

absl::StatusOr<RequestSlot> ModelPipeline::TakeSlot(const Context& context) {
  RequestSlot slot = RequestSlot::TryTake(slots_, context.client,
                                          metrics_.rank.inflight_requests);
  if (!slot) return TooManyInFlight(slots_, scheduler_.backlog());
  return slot;
}

void ModelPipeline::Start(const v1::ListModelsRequest& request,
                          v1::ListModelsResponse& response,
                          const Context& context, Done done) {
  const std::shared_ptr<const Registry> registry = models_.Current();
  absl::StatusOr<ModelPage> page =
      PageOfModels(*registry, request.model_name(), request.page_size(),
                   request.page_token());
  if (!page.ok()) return done(page.status(), RequestSlot());
  absl::StatusOr<RequestSlot> slot = TakeSlot(context);
  if (!slot.ok()) return done(slot.status(), RequestSlot());
  for (v1::Model& model : page->models) {
    AddMigration(*registry, model);
    *response.add_models() = std::move(model);
  }
  response.set_next_page_token(page->next_token);
  response.set_server_version(std::string(BuildVersion()));
  done(absl::OkStatus(), *std::move(slot));
}

void ModelPipeline::Start(const v1::GetModelRequest& request,
                          v1::GetModelResponse& response,
                          const Context& context, Done done) {
  const std::shared_ptr<const Registry> registry = models_.Current();
  const absl::StatusOr<LoadedModelPtr> model = registry->ResolveFor(request);
  const UnservedModel* unserved =
      registry->FindUnserved(request.model_name(), request.model_version());
  if (!model.ok() && unserved == nullptr) {
    return done(model.status(), RequestSlot());
  }
  absl::StatusOr<RequestSlot> slot = TakeSlot(context);
  if (!slot.ok()) return done(slot.status(), RequestSlot());
  if (model.ok()) {
    *response.mutable_model() = DescribeModel(**model, *registry);
    AddMigration(*registry, *response.mutable_model());
    *response.mutable_model()->mutable_schema() =
        DescribeSchema(**model, *registry);
  } else {
    *response.mutable_model() = DescribeModel(*unserved);
  }
  *response.mutable_limits() = DescribeLimits(limits_);
  response.set_server_version(std::string(BuildVersion()));
  done(absl::OkStatus(), *std::move(slot));
}

}  // namespace qlarank
