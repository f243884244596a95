#include "server/rollout/label_changes.h"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

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

absl::Status CheckServes(const Registry& registry, absl::string_view model,
                         uint64_t version) {
  if (registry.Find(model, version) != nullptr) return absl::OkStatus();
  return absl::NotFoundError(
      absl::StrCat("model_version: ", version, "; model ", Quoted(model),
                   " serves no such version"));
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
    if (labels.traffic && labels.traffic->label == label) {
      labels.traffic.reset();
    }
    if (labels.shadow && labels.shadow->label == label) labels.shadow.reset();
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

absl::Status CheckHasLabel(absl::string_view model, absl::string_view label,
                           const ModelLabels& labels) {
  if (labels.VersionOf(label) != 0) return absl::OkStatus();
  return absl::NotFoundError(absl::StrCat("label: ", Quoted(label), "; model ",
                                          Quoted(model),
                                          " has no such label"));
}

absl::Status CheckShare(absl::string_view field, double share) {
  // NaN is neither.
  if (share >= 0 && share <= 1) return absl::OkStatus();
  return FieldError(field, share, "must be 0 to 1");
}

absl::Status CheckTrafficUsers(const v1::SetTrafficRequest& request) {
  if (request.user_ids_size() > static_cast<int>(kMostTrafficUsers)) {
    return FieldError("user_ids",
                      absl::StrCat(request.user_ids_size(), " users"),
                      absl::StrCat("must be at most ", kMostTrafficUsers));
  }
  size_t bytes = 0;
  for (int i = 0; i < request.user_ids_size(); ++i) {
    if (request.user_ids(i).empty()) {
      return FieldError(absl::StrCat("user_ids[", i, "]"), "\"\"",
                        "a user has an id");
    }
    bytes += request.user_ids(i).size();
  }
  if (bytes <= kMostTrafficUserBytes) return absl::OkStatus();
  return FieldError("user_ids", absl::StrCat(bytes, " bytes"),
                    absl::StrCat("must be at most ", kMostTrafficUserBytes,
                                 " together"));
}

// Nullopt: it ends.
std::optional<Traffic> TrafficOf(const v1::SetTrafficRequest& request) {
  if (request.share() == 0 && request.user_ids().empty()) return std::nullopt;
  Traffic traffic = {request.label(), request.share(),
                     {request.user_ids().begin(), request.user_ids().end()}};
  std::vector<std::string>& users = traffic.users;
  std::sort(users.begin(), users.end());
  users.erase(std::unique(users.begin(), users.end()), users.end());
  return traffic;
}

// What a request for shadow scoring names.
absl::Status CheckShadow(const Registry& registry,
                         const v1::SetShadowRequest& request,
                         const ModelLabels& labels) {
  const std::string& name = request.model_name();
  if (!request.label().empty() && request.model_version() != 0) {
    return FieldError("label", Quoted(request.label()),
                      absl::StrCat("has a model_version beside it, ",
                                   request.model_version(),
                                   ": give one of them"));
  }
  if (!request.label().empty()) {
    return CheckHasLabel(name, request.label(), labels);
  }
  if (request.sample() == 0) return absl::OkStatus();
  return CheckServes(registry, name, request.model_version());
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
  const absl::Status serves =
      CheckServes(registry, request.model_name(), request.model_version());
  if (!serves.ok()) return serves;
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
  if (!labels->pending.contains(request.label())) {
    const absl::Status has =
        CheckHasLabel(request.model_name(), request.label(), *labels);
    if (!has.ok()) return has;
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

absl::StatusOr<ModelLabels> Changed(const Registry& registry,
                                    const v1::SetTrafficRequest& request) {
  absl::StatusOr<ModelLabels> labels = Present(registry, request);
  if (!labels.ok()) return labels;
  absl::Status status = CheckShare("share", request.share());
  if (status.ok()) status = CheckTrafficUsers(request);
  if (status.ok() && request.label() == kStableLabel) {
    status = FieldError("label", Quoted(request.label()),
                        "is what all follow who are in no traffic");
  }
  if (status.ok()) {
    status = CheckHasLabel(request.model_name(), request.label(), *labels);
  }
  if (!status.ok()) return status;
  if (labels->traffic && labels->traffic->label != request.label()) {
    return absl::FailedPreconditionError(absl::StrCat(
        "label: ", Quoted(request.label()), "; the label ",
        Quoted(labels->traffic->label), " of model ",
        Quoted(request.model_name()), " has traffic, which has to end first"));
  }
  std::optional<Traffic> traffic = TrafficOf(request);
  if (traffic == labels->traffic) return labels;
  labels->traffic = std::move(traffic);
  ++labels->revision;
  return labels;
}

absl::StatusOr<ModelLabels> Changed(const Registry& registry,
                                    const v1::SetShadowRequest& request) {
  absl::StatusOr<ModelLabels> labels = Present(registry, request);
  if (!labels.ok()) return labels;
  absl::Status status = CheckShare("sample", request.sample());
  if (status.ok()) status = CheckShadow(registry, request, *labels);
  if (!status.ok()) return status;
  std::optional<ShadowScoring> shadow;
  if (request.sample() > 0) {
    shadow = {request.label(), request.model_version(), request.sample()};
  }
  if (shadow == labels->shadow) return labels;
  labels->shadow = std::move(shadow);
  ++labels->revision;
  return labels;
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
  if (labels.traffic) {
    auto& traffic = *described.mutable_traffic();
    traffic.set_label(labels.traffic->label);
    traffic.set_share(labels.traffic->share);
    traffic.mutable_user_ids()->Assign(labels.traffic->users.begin(),
                                       labels.traffic->users.end());
  }
  if (labels.shadow) {
    auto& shadow = *described.mutable_shadow();
    shadow.set_label(labels.shadow->label);
    shadow.set_model_version(labels.shadow->version);
    shadow.set_sample(labels.shadow->sample);
  }
  return described;
}

}  // namespace qlarank
