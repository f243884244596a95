#include "server/rollout/coverage.h"

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "server/models/load_engine.h"

namespace qlarank {

absl::StatusOr<double> WantedCoverage(const v1::SetLabelRequest& request) {
  const double wanted =
      request.has_min_coverage() ? request.min_coverage() : kMinCoverage;
  // NaN is neither.
  if (wanted >= 0 && wanted <= 1) return wanted;
  return absl::InvalidArgumentError(
      absl::StrCat("min_coverage: ", wanted, "; must be 0 to 1"));
}

absl::Status CheckCoverage(const Migrations& migrations,
                           const LoadedModel& model, double wanted) {
  const auto progress = migrations.Of(model.id);
  if (!progress || wanted == 0) return absl::OkStatus();
  const bool counted = progress->phase != Migration::Phase::kCounting;
  if (counted && progress->coverage() >= wanted) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat(
      "min_coverage: ", wanted, "; ", ModelLabel(model.name, model.version),
      counted ? absl::StrCat(" has states of ", progress->covered_users, " of ",
                             progress->users, " users")
              : " is counting its users",
      progress->time_left && progress->phase == Migration::Phase::kFolding
          ? absl::StrCat(", and about ",
                         absl::FormatDuration(absl::Trunc(
                             *progress->time_left, absl::Seconds(1))),
                         " to go")
          : ""));
}

bool CoversNoMore(const Migrations& migrations, const LoadedModel& model) {
  const auto progress = migrations.Of(model.id);
  return progress && (progress->phase == Migration::Phase::kDone ||
                      progress->phase == Migration::Phase::kFailed);
}

}  // namespace qlarank
