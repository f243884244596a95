// Whether enough users have a state under a version for a label to point to it.
#ifndef QLARANK_SERVER_ROLLOUT_COVERAGE_H_
#define QLARANK_SERVER_ROLLOUT_COVERAGE_H_

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "qlarank/v1/model_admin_service.pb.h"
#include "server/models/loaded_model.h"
#include "server/states/migrations.h"

namespace qlarank {

// What SetLabel asks for unless it is told otherwise.
inline constexpr double kMinCoverage = 0.99;

// The share of the users that a request asks for. INVALID_ARGUMENT unless it is 0
// to 1.
absl::StatusOr<double> WantedCoverage(const v1::SetLabelRequest& request);

// FAILED_PRECONDITION when its migration covers less: says how much, and for how
// long yet.
absl::Status CheckCoverage(const Migrations& migrations,
                           const LoadedModel& model, double wanted);

// Whether it covers less for good: its migration has ended, or failed.
bool CoversNoMore(const Migrations& migrations, const LoadedModel& model);

}  // namespace qlarank

#endif  // QLARANK_SERVER_ROLLOUT_COVERAGE_H_
