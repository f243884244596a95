#include "server/rank/model_pipeline.h"

#include <memory>
#include <string>
#include <utility>

#include "server/metrics/version.h"
#include "server/models/model_description.h"
#include "server/models/model_page.h"
#include "server/work/overload.h"

namespace qlarank {

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
