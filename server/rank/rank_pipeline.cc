#include "server/rank/rank_pipeline.h"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "server/rank/expanded_request.h"
#include "server/rank/version_before.h"
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
  const RankModelPtr model = std::move(admission.model);
  const absl::StatusOr<std::shared_ptr<RankCall>> call =
      MakeCall({request, response, context, admission.registry}, model,
               admission.slot, done);
  if (!call.ok()) {
    model->metrics->requests.Increment(call.status().code());
    return done(call.status(), RequestSlot());
  }
  (*call)->Start();
}

absl::StatusOr<std::shared_ptr<RankCall>> RankPipeline::MakeCall(
    const Asked& asked, const RankModelPtr& model, RequestSlot& slot,
    RankCall::Done& done) {
  size_t unknown = 0;
  auto expanded = ExpandCategories(asked.request, *model->loaded,
                                   *asked.registry->default_model(), limits_,
                                   unknown);
  if (!expanded.ok()) return expanded.status();
  metrics_.rank.unknown_category_values.Increment(unknown);
  const v1::RankRequest& request =
      *expanded != nullptr ? **expanded : asked.request;
  absl::StatusOr<RankPlan> plan =
      PlanRank(request, model->bundle(),
               {asked.registry->vocabulary(), model->loaded->features,
                model->engine().catalogue(),
                asked.registry->event_schema()},
               limits_, asked.context.arrival);
  if (!plan.ok()) return plan.status();
  plan->shadow_version =
      ShadowVersion(asked.registry->LabelsOf(model->name()), *model, request,
                    plan->time_us);
  plan->expanded = *std::move(expanded);
  return std::make_shared<RankCall>(
      request, asked.response, *std::move(plan), model, partitions_,
      scheduler_, metrics_, asked.context, std::move(slot), copies_,
      std::move(done), BudgetOf(asked, *model));
}

RankCall::ReplayBudget RankPipeline::BudgetOf(const Asked& asked,
                                              const RankModel& model) {
  LoadedModelPtr before =
      VersionBefore(*asked.registry, *model.loaded, asked.request);
  if (before == nullptr) return {};
  return {max_replay_events_, [this, asked, before = std::move(before)](
                                  RequestSlot& slot, RankCall::Done& done) {
            return CallBefore(asked, before, slot, done);
          }};
}

std::shared_ptr<RankCall> RankPipeline::CallBefore(const Asked& asked,
                                                   const LoadedModelPtr& before,
                                                   RequestSlot& slot,
                                                   RankCall::Done& done) {
  const RankModelPtr model = models_.Of(before);
  const auto found = model->memory->Find(asked.request.user_id());
  if (!found.ok() || found->events_behind() > max_replay_events_) {
    return nullptr;
  }
  // What the request says may be wrong for it alone.
  auto call = MakeCall(asked, model, slot, done);
  if (!call.ok()) return nullptr;
  (*call)->AnswersAsVersionBefore();
  return *std::move(call);
}

uint64_t RankPipeline::ShadowVersion(const ModelLabels& labels,
                                     const RankModel& model,
                                     const v1::RankRequest& request,
                                     int64_t time_us) const {
  const uint64_t version = labels.ShadowVersion();
  if (copies_.shadow == nullptr || version == 0 ||
      version == model.version() ||
      !RequestSample(labels.shadow->sample).Has(request, time_us)) {
    return 0;
  }
  return version;
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
