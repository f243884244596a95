// What operators may do to the labels of a model: each a function from the labels
// as they are to the labels as they would be, with the next revision, or as they
// were where nothing changes.
//
// Pure functions. Errors are those of ModelAdminService.
#ifndef QLARANK_SERVER_ROLLOUT_LABEL_CHANGES_H_
#define QLARANK_SERVER_ROLLOUT_LABEL_CHANGES_H_

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "qlarank/v1/model_admin_service.pb.h"
#include "server/models/model_labels.h"
#include "server/models/registry.h"

namespace qlarank {

inline constexpr size_t kMostLabels = 64;  // of one model
inline constexpr size_t kMostTrafficUsers = 100;  // who are named
inline constexpr size_t kMostTrafficUserBytes = 16 << 10;  // together

absl::StatusOr<ModelLabels> Changed(const Registry& registry,
                                    const v1::SetLabelRequest& request);
// What it asks for with when_covered, while too few users are: the label stays
// what it is, and is pending.
absl::StatusOr<ModelLabels> ChangedWhenCovered(
    const Registry& registry, const v1::SetLabelRequest& request,
    double min_coverage);
// The same for a version that was loaded for its folder, which may come again
// after a restart: nothing, unless it is newer than all others that are served,
// that the label points or waits to point to, and that this was asked for before.
absl::StatusOr<ModelLabels> ChangedForFolder(const Registry& registry,
                                             const v1::SetLabelRequest& request,
                                             double min_coverage);
absl::StatusOr<ModelLabels> Changed(const Registry& registry,
                                    const v1::RemoveLabelRequest& request);
absl::StatusOr<ModelLabels> Changed(const Registry& registry,
                                    const v1::RollbackRequest& request);
absl::StatusOr<ModelLabels> Changed(const Registry& registry,
                                    const v1::SetTrafficRequest& request);
absl::StatusOr<ModelLabels> Changed(const Registry& registry,
                                    const v1::SetShadowRequest& request);

// As the server itself changes them: pending labels whose versions are served and
// `covered` have moved.
using IsCovered =
    absl::FunctionRef<bool(const LoadedModel& model, double min_coverage)>;
LabelsOfModels MovedWhereCovered(const Registry& registry, IsCovered covered);

v1::ModelLabels Describe(absl::string_view model_name,
                         const ModelLabels& labels);

}  // namespace qlarank

#endif  // QLARANK_SERVER_ROLLOUT_LABEL_CHANGES_H_
