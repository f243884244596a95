#include "server/rollout/label_changes.h"

#include <algorithm>
#include <string>
#include <utility>

#include "absl/algorithm/container.h"
#include "absl/strings/str_cat.h"
#include "config/model_name.h"
#include "server/models/model_description.h"
#include "server/work/field_error.h"

namespace qlarank {
namespace {

// The labels that a request is about, if it is based on them.
template <typename Request>
absl::StatusOr<ModelLabels> Present(const Registry& registry,
                                    const Request& request) {
  if (!registry.HasModel(request.model_name())) {
    return absl::NotFoundError(absl::StrCat(
        "model_name: ", Quoted(request.model_name()), "; no such model"));
  }
  ModelLabels labels = registry.LabelsOf(request.model_name());
  if (!request.etag().empty() && request.etag() != labels.etag()) {
    return absl::AbortedError(absl::StrCat(
        "etag: ", Quoted(request.etag()), "; the labels of model ",
        Quoted(request.model_name()), " were changed meanwhile and have ",
        Quoted(labels.etag())));
  }
  return labels;
}

// 0: points to nothing any more. What it waited for it waits for no more.
void Point(absl::string_view label, uint64_t version, ModelLabels& labels) {
  const uint64_t before = labels.VersionOf(label);
  const bool waited = labels.pending.erase(std::string(label)) > 0;
  if (before == version) {
    if (waited) ++labels.revision;
    return;
  }
  if (version == 0) {
    labels.versions.erase(std::string(label));
  } else {
    labels.versions[std::string(label)] = version;
  }
  if (label == kStableLabel && before != 0) labels.before_stable = before;
  ++labels.revision;
}

// Will point to another version.
void Await(absl::string_view label, const PendingMove& move,
           ModelLabels& labels) {
  if (labels.VersionOf(label) == move.version) {
    return Point(label, move.version, labels);
  }
  PendingMove& waiting = labels.pending[std::string(label)];
  if (waiting == move) return;
  waiting = move;
  ++labels.revision;
}

// That there are, or will be.
size_t CountLabels(const ModelLabels& labels) {
  return labels.versions.size() +
         absl::c_count_if(labels.pending, [&](const auto& move) {
           return labels.VersionOf(move.first) == 0;
         });
}

// The present labels, if the request may set its own.
absl::StatusOr<ModelLabels> ToSet(const Registry& registry,
                                  const v1::SetLabelRequest& request) {
  if (!IsModelLabel(request.label())) {
    return FieldError("label", Quoted(request.label()), kModelLabelRule);
  }
  absl::StatusOr<ModelLabels> labels = Present(registry, request);
  if (!labels.ok()) return labels;
  if (registry.Find(request.model_name(), request.model_version()) == nullptr) {
    return absl::NotFoundError(absl::StrCat(
        "model_version: ", request.model_version(), "; model ",
        Quoted(request.model_name()), " serves no such version"));
  }
  if (CountLabels(*labels) >= kMostLabels &&
      labels->VersionOf(request.label()) == 0 &&
      !labels->pending.contains(request.label())) {
    return absl::FailedPreconditionError(
        absl::StrCat("label: ", Quoted(request.label()), "; model ",
                     Quoted(request.model_name()), " has ", kMostLabels,
                     " labels, the most that are allowed"));
  }
  return labels;
}

}  // namespace

absl::StatusOr<ModelLabels> Changed(const Registry& registry,
                                    const v1::SetLabelRequest& request) {
  absl::StatusOr<ModelLabels> labels = ToSet(registry, request);
  if (labels.ok()) Point(request.label(), request.model_version(), *labels);
  return labels;
}

absl::StatusOr<ModelLabels> ChangedWhenCovered(
    const Registry& registry, const v1::SetLabelRequest& request,
    double min_coverage) {
  absl::StatusOr<ModelLabels> labels = ToSet(registry, request);
  if (labels.ok()) {
    Await(request.label(), {request.model_version(), min_coverage}, *labels);
  }
  return labels;
}

absl::StatusOr<ModelLabels> ChangedForFolder(const Registry& registry,
                                             const v1::SetLabelRequest& request,
                                             double min_coverage) {
  const ModelLabels& present = registry.LabelsOf(request.model_name());
  const auto waits = present.pending.find(request.label());
  uint64_t newest =
      std::max(present.VersionOf(request.label()), present.newest_watched);
  if (waits != present.pending.end()) {
    newest = std::max(newest, waits->second.version);
  }
  for (const LoadedModelPtr& model : registry.models()) {
    const bool other = model->version != request.model_version();
    if (other && model->name == request.model_name()) {
      newest = std::max(newest, model->version);
    }
  }
  if (request.model_version() <= newest) return present;
  auto labels = ChangedWhenCovered(registry, request, min_coverage);
  if (labels.ok()) labels->newest_watched = request.model_version();
  return labels;
}

absl::StatusOr<ModelLabels> Changed(const Registry& registry,
                                    const v1::RemoveLabelRequest& request) {
  absl::StatusOr<ModelLabels> labels = Present(registry, request);
  if (!labels.ok()) return labels;
  if (labels->VersionOf(request.label()) == 0 &&
      !labels->pending.contains(request.label())) {
    return absl::NotFoundError(
        absl::StrCat("label: ", Quoted(request.label()), "; model ",
                     Quoted(request.model_name()), " has no such label"));
  }
  Point(request.label(), 0, *labels);
  return labels;
}

absl::StatusOr<ModelLabels> Changed(const Registry& registry,
                                    const v1::RollbackRequest& request) {
  absl::StatusOr<ModelLabels> labels = Present(registry, request);
  if (!labels.ok()) return labels;
  const uint64_t before = labels->before_stable;
  if (before == 0) {
    return absl::FailedPreconditionError(absl::StrCat(
        "model_name: ", Quoted(request.model_name()),
        "; its label \"stable\" has no version to go back to"));
  }
  if (registry.Find(request.model_name(), before) == nullptr) {
    return absl::FailedPreconditionError(absl::StrCat(
        "model_name: ", Quoted(request.model_name()), "; version ", before,
        ", which its label \"stable\" pointed to before, is not loaded"));
  }
  Point(kStableLabel, before, *labels);
  labels->before_stable = 0;  // who rolls back twice does not roll forward
  return labels;
}

LabelsOfModels MovedWhereCovered(const Registry& registry, IsCovered covered) {
  LabelsOfModels moved = registry.labels();
  for (auto& [name, labels] : moved) {
    const auto pending = labels.pending;
    for (const auto& [label, move] : pending) {
      const LoadedModelPtr model = registry.Find(name, move.version);
      if (model == nullptr || !covered(*model, move.min_coverage)) continue;
      Point(label, move.version, labels);
    }
  }
  return moved;
}

v1::ModelLabels Describe(absl::string_view model_name,
                         const ModelLabels& labels) {
  v1::ModelLabels described;
  described.set_model_name(std::string(model_name));
  for (const auto& [label, version] : labels.versions) {
    (*described.mutable_versions())[label] = version;
  }
  described.set_version_before_stable(labels.before_stable);
  described.set_etag(labels.etag());
  *described.mutable_pending_labels() = DescribePending(labels);
  return described;
}

}  // namespace qlarank
