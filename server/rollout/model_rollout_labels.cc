// The half of ModelRollout that changes labels.
#include <utility>

#include "absl/time/clock.h"
#include "server/ops/logging.h"
#include "server/rollout/coverage.h"
#include "server/rollout/label_changes.h"
#include "server/rollout/label_log.h"
#include "server/rollout/model_rollout.h"

namespace qlarank {
namespace {

// After the store refused to remember it.
constexpr absl::Duration kRefusedPause = absl::Seconds(10);

}  // namespace

absl::StatusOr<ModelLabels> ModelRollout::Changed(
    const Registry& registry, const v1::SetLabelRequest& request) const {
  absl::StatusOr<ModelLabels> changed = qlarank::Changed(registry, request);
  if (!changed.ok()) return changed;
  const absl::StatusOr<double> wanted = WantedCoverage(request);
  if (!wanted.ok()) return wanted.status();
  const LoadedModelPtr model =
      registry.Find(request.model_name(), request.model_version());
  const absl::Status covered =
      CheckCoverage(parts_.migrations, *model, *wanted);
  if (covered.ok()) return changed;
  if (!request.when_covered()) return covered;
  return ChangedWhenCovered(registry, request, *wanted);
}

template <typename Request>
absl::StatusOr<v1::ModelLabels> ModelRollout::ChangeLabels(
    const Request& request) {
  const std::string& name = request.model_name();
  const auto asked = AskedFor(request);
  if (!asked.ok()) return asked.status();
  absl::MutexLock lock(&mutex_);
  const auto before = answered_.Find(*asked);
  if (!before.ok()) return before.status();
  v1::ModelLabels described;
  if (*before != nullptr && described.ParseFromString(**before)) {
    return described;
  }
  const std::shared_ptr<const Registry> registry = parts_.models.Current();
  absl::StatusOr<ModelLabels> changed = Changed(*registry, request);
  if (!changed.ok()) return changed.status();
  described = Describe(name, *changed);
  if (request.validate_only()) {
    described.set_etag(registry->LabelsOf(name).etag());
    return described;
  }
  AnsweredLabels answered = answered_;
  answered.Add(*asked, described.SerializeAsString());
  if (*changed == registry->LabelsOf(name)) {
    answered_ = std::move(answered);
    return described;
  }
  LabelsOfModels labels = registry->labels();
  labels[name] = *std::move(changed);
  absl::Status remembered = Remember(loaded_, labels, std::move(answered));
  if (!remembered.ok()) return remembered;
  LogLabels(name, labels[name], "request");
  Replace(registry->WithLabels(std::move(labels)));
  return described;
}

void ModelRollout::MoveCoveredLabels() {
  absl::MutexLock lock(&mutex_);
  if (absl::Now() < move_after_) return;
  const std::shared_ptr<const Registry> registry = parts_.models.Current();
  LabelsOfModels labels = MovedWhereCovered(
      *registry, [&](const LoadedModel& model, double wanted) {
        if (CheckCoverage(parts_.migrations, model, wanted).ok()) return true;
        if (CoversNoMore(parts_.migrations, model) &&
            told_.insert(model.id).second) {
          LogWarning("a label waits for users whom a migration left out",
                     {{"model", model.name}, {"version", model.version}});
        }
        return false;
      });
  if (labels == registry->labels()) return;
  const absl::Status remembered = Remember(loaded_, labels);
  if (!remembered.ok()) {
    LogWarning("a label could move, and is not remembered",
               {{"error", remembered}});
    move_after_ = absl::Now() + kRefusedPause;
    return;
  }
  for (const auto& [name, of_model] : labels) {
    if (of_model != registry->LabelsOf(name)) {
      LogLabels(name, of_model, "covered");
    }
  }
  Replace(registry->WithLabels(std::move(labels)));
}

template <typename Request, typename Response>
void ModelRollout::StartLabels(const Request& request, Response& response,
                               Done done) {
  Submit(
      labels_,
      [this, &request, &response] {
        absl::StatusOr<v1::ModelLabels> labels = ChangeLabels(request);
        if (labels.ok()) *response.mutable_labels() = *std::move(labels);
        return labels.status();
      },
      std::move(done));
}

void ModelRollout::Start(const v1::SetLabelRequest& request,
                         v1::SetLabelResponse& response, Done done) {
  StartLabels(request, response, std::move(done));
}

void ModelRollout::Start(const v1::RemoveLabelRequest& request,
                         v1::RemoveLabelResponse& response, Done done) {
  StartLabels(request, response, std::move(done));
}

void ModelRollout::Start(const v1::RollbackRequest& request,
                         v1::RollbackResponse& response, Done done) {
  StartLabels(request, response, std::move(done));
}

void ModelRollout::Start(const v1::SetTrafficRequest& request,
                         v1::SetTrafficResponse& response, Done done) {
  StartLabels(request, response, std::move(done));
}

void ModelRollout::Start(const v1::SetShadowRequest& request,
                         v1::SetShadowResponse& response, Done done) {
  StartLabels(request, response, std::move(done));
}

}  // namespace qlarank
