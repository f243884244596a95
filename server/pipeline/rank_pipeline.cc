#include "server/pipeline/rank_pipeline.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

namespace qlarank {

RankPipeline::RankPipeline(const ModelRegistry& models,
                           TileScheduler& scheduler, Metrics& metrics,
                           const LimitsOptions& limits,
                           size_t max_inflight_requests)
    : models_(models),
      scheduler_(scheduler),
      metrics_(metrics),
      limits_(limits),
      max_inflight_requests_(max_inflight_requests) {}

void RankPipeline::Start(const v1::RankRequest& request,
                         v1::RankResponse& response,
                         const RankCall::Context& context,
                         RankCall::Done done) {
  const absl::StatusOr<ServedModel*> model =
      models_.Resolve(request.model_name(), request.model_version());
  if (!model.ok()) {
    metrics_.rank.no_model.requests.Increment(model.status().code());
    return done(model.status());
  }
  const auto refuse = [&](absl::Status status) {
    (*model)->metrics->requests.Increment(status.code());
    done(std::move(status));
  };
  absl::StatusOr<RankPlan> plan =
      PlanRank(request, (*model)->bundle(), limits_, context.arrival);
  if (!plan.ok()) return refuse(plan.status());

  if (++inflight_ > max_inflight_requests_) {
    --inflight_;
    return refuse(absl::ResourceExhaustedError(absl::StrCat(
        max_inflight_requests_, " requests are in flight already")));
  }
  metrics_.rank.inflight_requests.Increment();
  auto leave = [this] {
    --inflight_;
    metrics_.rank.inflight_requests.Decrement();
  };
  if (absl::Status status = Admit(request, **model, context); !status.ok()) {
    leave();
    return refuse(std::move(status));
  }
  auto call = std::make_shared<RankCall>(
      request, response, *std::move(plan), **model, scheduler_, metrics_,
      context, [leave, done = std::move(done)](absl::Status status) mutable {
        leave();
        done(std::move(status));
      });
  call->Start();
}

absl::Status RankPipeline::Admit(const v1::RankRequest& request,
                                 const ServedModel& model,
                                 const RankCall::Context& context) const {
  if (context.deadline <= context.arrival) {
    return absl::DeadlineExceededError("the deadline has passed already");
  }
  const size_t inflight = inflight_.load();
  const absl::Duration tile_cost = model.tile_cost.mean();
  // Alone, a request is always let in: that is also how an estimate that is too
  // high comes down again.
  if (request.allow_partial() || inflight <= 1) return absl::OkStatus();
  const absl::Duration work = tile_cost * (RankCall::NumTiles(request) + 1);
  // Of what waits, others get no more done than as much each as this request.
  const absl::Duration ahead =
      std::min(scheduler_.backlog(), work * static_cast<int64_t>(inflight - 1));
  const absl::Duration predicted =
      (work + ahead) / static_cast<int64_t>(scheduler_.num_workers());
  if (context.arrival + predicted > context.deadline) {
    return absl::ResourceExhaustedError(absl::StrCat(
        "would take ", absl::FormatDuration(predicted), ", behind ",
        absl::FormatDuration(ahead), " of work that waits; the deadline is in ",
        absl::FormatDuration(context.deadline - context.arrival)));
  }
  return absl::OkStatus();
}

}  // namespace qlarank
