#include "server/rank/rank_pipeline.h"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "server/rank/expanded_request.h"
#include "server/work/overload.h"

namespace qlarank {
namespace {

// Of the time to the deadline, what work may be planned for. The rest is for
// what estimates are wrong by, for others' requests that come later, and for
// the way back. A queue of half the time keeps the workers as busy as one of
// all of it.
constexpr double kPlannedShare = 0.5;

// For people.
std::string Rounded(double number) { return absl::StrFormat("%.1f", number); }

}  // namespace

absl::StatusOr<RankPipeline::Admission> RankPipeline::Admit(
    const v1::RankRequest& request, const RankCall::Context& context) {
  std::shared_ptr<const Registry> registry = models_.Current();
  const absl::StatusOr<LoadedModelPtr> loaded =
      registry->ResolveFor(request);
  if (!loaded.ok()) {
    metrics_.rank.no_model.requests.Increment(loaded.status().code());
    return loaded.status();
  }
  RankModelPtr model = models_.Of(*loaded);
  absl::StatusOr<RequestSlot> slot = TakeSlot(request, *model, context);
  if (!slot.ok()) {
    model->metrics->requests.Increment(slot.status().code());
    return slot.status();
  }
  return Admission{std::move(registry), std::move(model), *std::move(slot)};
}

void RankPipeline::Refuse(absl::Status status, const RankCall::Context& context,
                          size_t bytes,
                          absl::AnyInvocable<void(absl::Status)> end) {
  const std::optional<absl::Duration> hint = RetryDelay(status);
  if (!hint.has_value()) return end(std::move(status));
  const absl::Duration time =
      RefusalDesk::HoldFor(*hint, context.deadline - context.arrival);
  SetRetryDelay(*hint - time, status);
  desk_.Hold(time, bytes,
             [status = std::move(status), end = std::move(end)]() mutable {
               end(std::move(status));
             });
}

void RankPipeline::Start(Admission admission, const v1::RankRequest& request,
                         v1::RankResponse& response,
                         const RankCall::Context& context,
                         RankCall::Done done) {
  const RankModel& model = *admission.model;
  size_t unknown = 0;
  auto expanded = ExpandCategories(request, *model.loaded,
                                   *admission.registry->default_model(),
                                   limits_, unknown);
  if (!expanded.ok()) {
    model.metrics->requests.Increment(expanded.status().code());
    return done(expanded.status(), RequestSlot());
  }
  metrics_.rank.unknown_category_values.Increment(unknown);
  const v1::RankRequest& asked = *expanded != nullptr ? **expanded : request;
  absl::StatusOr<RankPlan> plan =
      PlanRank(asked, model.bundle(),
               {admission.registry->vocabulary(), model.loaded->features,
                model.engine().catalogue(),
                admission.registry->event_schema()},
               limits_, context.arrival);
  if (!plan.ok()) {
    model.metrics->requests.Increment(plan.status().code());
    return done(plan.status(), RequestSlot());
  }
  plan->expanded = *std::move(expanded);
  std::make_shared<RankCall>(asked, response, *std::move(plan),
                             std::move(admission.model), partitions_, scheduler_, metrics_, context,
                             std::move(admission.slot), log_, std::move(done))
      ->Start();
}

absl::StatusOr<RequestSlot> RankPipeline::TakeSlot(
    const v1::RankRequest& request, const RankModel& model,
    const RankCall::Context& context) {
  if (context.cancelled != nullptr && context.cancelled->load()) {
    return absl::CancelledError("the caller cancelled");
  }
  const absl::Duration left = context.deadline - context.arrival;
  if (left <= absl::ZeroDuration()) {
    return absl::DeadlineExceededError("the deadline has passed already");
  }
  const absl::Duration tile_cost = model.tile_cost.mean();
  const absl::Duration whole =
      tile_cost * static_cast<int64_t>(RankCall::NumTiles(request) + 1);
  const TileScheduler::Prediction prediction =
      scheduler_.Predict(context.client, whole);
  // For a partial reply one tile is enough.
  const absl::Duration work =
      request.allow_partial() ? std::min(whole, 2 * tile_cost) : whole;
  // What tiles cost is processor time; how much of that there is is another
  // thing, which changes faster.
  const double processors = scheduler_.processors();
  admission_metrics_.processors.Set(processors);
  const absl::Duration predicted = (work + prediction.ahead) / processors;
  // Alone, a request is always let in: that is also how an estimate that is too
  // high comes down again.
  if (!prediction.alone && predicted > left * kPlannedShare) {
    // Of those who wait to be told so, each may try again when those before it
    // could have been served.
    const auto before = static_cast<int64_t>(desk_.size());
    return OverloadError(
        absl::StrCat("would take ",
                     absl::FormatDuration(
                         absl::Trunc(predicted, absl::Milliseconds(1))),
                     ", behind ", absl::FormatDuration(prediction.ahead),
                     " of work that waits for ", Rounded(processors),
                     " processors; the deadline is in ",
                     absl::FormatDuration(left),
                     ", half of which is kept in reserve"),
        predicted - left * kPlannedShare + before * (work / processors));
  }
  RequestSlot slot = RequestSlot::TryTake(slots_, context.client,
                                          metrics_.rank.inflight_requests);
  if (!slot) return TooManyInFlight(slots_, scheduler_.backlog());
  return slot;
}

}  // namespace qlarank
