#include "server/rank/state_pipeline.h"

#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "server/models/event_rules.h"
#include "server/models/load_engine.h"
#include "server/models/not_finite.h"
#include "server/rank/state_reader.h"
#include "server/rank/summary_encoding.h"
#include "server/work/field_error.h"
#include "server/work/overload.h"

namespace qlarank {
namespace {

// Reads a state step by step, then describes it.
class StateCall final : public TileJob {
 public:
  using Describe =
      absl::AnyInvocable<absl::Status(const UserMemory::Lookup&,
                                      EngineScratch&)>;

  StateCall(RankModelPtr model, Partitions& partitions,
            const std::string& user_id, uint64_t min_event_count,
            const StatePipeline::Context& context,
            RequestSlot slot, Describe describe, StatePipeline::Done done)
      : model_(std::move(model)),
        context_(context),
        slot_(std::move(slot)),
        describe_(std::move(describe)),
        done_(std::move(done)),
        reader_(*model_->memory, partitions, user_id,
                {.min_event_count = min_event_count,
                 .max_events_behind = std::nullopt,
                 .max_age = std::nullopt,
                 .time_us = absl::ToUnixMicros(context.arrival)}) {}

  Step Prepare(size_t worker) override {
    if (cancelled()) return Step::kEnd;
    EngineScratch& scratch = *model_->worker_scratch[worker];
    reader_.Step(scratch);
    if (!reader_.done()) return Step::kAgain;
    if (reader_.status().ok()) {
      described_ = describe_(reader_.lookup(), scratch);
    }
    return Step::kEnd;
  }

  void RunUnit(size_t /*unit*/, size_t /*worker*/) override {}

  void Finish(size_t /*dropped*/, size_t /*worker*/) override {
    done_(status(), std::move(slot_));
  }

  bool cancelled() const override {
    return context_.cancelled != nullptr &&
           context_.cancelled->load(std::memory_order_relaxed);
  }

 private:
  absl::Status status() const {
    if (reader_.done() && !reader_.status().ok()) return reader_.status();
    if (reader_.done()) return described_;
    // gRPC cancels a call at its deadline, too.
    if (cancelled() && absl::Now() < context_.deadline) {
      return absl::CancelledError("the caller cancelled");
    }
    return absl::DeadlineExceededError(
        "the deadline passed before the state was there");
  }

  const RankModelPtr model_;
  const StatePipeline::Context context_;
  RequestSlot slot_;
  Describe describe_;
  StatePipeline::Done done_;
  StateReader reader_;
  absl::Status described_;
};

// What both responses say.
template <typename Response>
void Identify(const RankModel& model, const UserMemory::Lookup& lookup,
              Response& response) {
  *response.mutable_state() = DescribeState(lookup);
  response.set_model_name(model.name());
  response.set_model_version(model.version());
  response.set_state_fingerprint(model.engine().state_fingerprint());
}

void DescribeInto(v1::GetUserStateResponse& response, const RankModel& model,
                  const UserMemory::Lookup& lookup, bool include_state) {
  Identify(model, lookup, response);
  response.set_state_bytes(lookup.known.state->size_bytes());
  for (const auto& [source, sequence] : lookup.head.watermarks) {
    (*response.mutable_watermarks())[source] = sequence;
  }
  if (include_state) {
    response.set_serialized_state(
        model.engine().SerializeState(*lookup.known.state));
  }
}

}  // namespace

template <typename Request>
absl::StatusOr<RankModelPtr> StatePipeline::ModelOf(
    const Request& request) const {
  if (absl::Status status = CheckUserId(request.user_id(), limits_);
      !status.ok()) {
    return status;
  }
  const absl::StatusOr<LoadedModelPtr> loaded =
      models_.Current()->ResolveFor(request);
  if (!loaded.ok()) return loaded.status();
  return models_.Of(*loaded);
}

void StatePipeline::Read(RankModelPtr model, const std::string& user_id,
                         uint64_t min_event_count, const Context& context,
                         Describe describe, Done done) {
  RequestSlot slot = RequestSlot::TryTake(slots_, context.client,
                                          metrics_.rank.inflight_requests);
  if (!slot) {
    return done(TooManyInFlight(slots_, scheduler_.backlog()), RequestSlot());
  }
  const absl::Duration cost = model->tile_cost.mean();
  scheduler_.Submit(
      std::make_shared<StateCall>(std::move(model), partitions_, user_id,
                                  min_event_count, context, std::move(slot),
                                  std::move(describe), std::move(done)),
      /*num_units=*/0, context.arrival, context.deadline, cost,
      context.client);
}

void StatePipeline::Start(const v1::GetUserStateRequest& request,
                          v1::GetUserStateResponse& response,
                          const Context& context, Done done) {
  const absl::StatusOr<RankModelPtr> found = ModelOf(request);
  if (!found.ok()) return done(found.status(), RequestSlot());
  const RankModelPtr& model = *found;
  auto describe = [&request, &response, model](
                      const UserMemory::Lookup& lookup, EngineScratch&) {
    DescribeInto(response, *model, lookup, request.include_state());
    return absl::OkStatus();
  };
  Read(model, request.user_id(), request.min_event_count(), context,
       std::move(describe), std::move(done));
}

void StatePipeline::Start(const v1::GetUserSummaryRequest& request,
                          v1::GetUserSummaryResponse& response,
                          const Context& context, Done done) {
  const absl::StatusOr<RankModelPtr> found = ModelOf(request);
  if (!found.ok()) return done(found.status(), RequestSlot());
  const RankModelPtr& model = *found;
  if (!v1::SummaryEncoding_IsValid(request.encoding())) {
    return done(FieldError("encoding", static_cast<int>(request.encoding()),
                           "must be a SummaryEncoding"),
                RequestSlot());
  }
  if (model->engine().num_seeds() == 0) {
    return done(absl::FailedPreconditionError(absl::StrCat(
                    "model ", Quoted(model->name()), " version ", model->version(),
                    " has no seeds, and so no summaries")),
                RequestSlot());
  }
  auto describe = [this, &request, &response, model](
                      const UserMemory::Lookup& lookup,
                      EngineScratch& scratch) {
    const auto summary =
        model->memory->Summarize(lookup.known, scratch);
    if (!AllFinite(summary->values)) {
      const absl::Status error = absl::InternalError(
          absl::StrCat(ModelLabel(model->name(), model->version()),
                       " gives a summary that is not finite: its weights "
                       "overflow, or a product failed"));
      ReportNotFinite(error, metrics_.state.summaries_not_finite);
      return error;
    }
    Identify(*model, lookup, response);
    EncodeSummary(*summary, model->engine().num_seeds(), request.encoding(),
                  response);
    return absl::OkStatus();
  };
  Read(model, request.user_id(), request.min_event_count(), context,
       std::move(describe), std::move(done));
}

}  // namespace qlarank
