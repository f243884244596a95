#include "server/pipeline/state_pipeline.h"

#include <memory>
#include <utility>

#include "server/pipeline/event_rules.h"
#include "server/pipeline/state_reader.h"

namespace qlarank {
namespace {

// Reads the state step by step, then describes it.
class StateCall final : public TileJob,
                        public std::enable_shared_from_this<StateCall> {
 public:
  StateCall(const v1::GetUserStateRequest& request,
            v1::GetUserStateResponse& response, ServedModel& model,
            TileScheduler& scheduler, absl::Time now, absl::Time deadline,
            StatePipeline::Done done)
      : request_(request),
        response_(response),
        model_(model),
        scheduler_(scheduler),
        now_(now),
        deadline_(deadline),
        done_(std::move(done)),
        reader_(model, request.user_id(),
                {.min_event_count = request.min_event_count(),
                 .max_age = std::nullopt,
                 .time_us = absl::ToUnixMicros(now)}) {}

  void Submit() {
    scheduler_.Submit(shared_from_this(), 1, now_, deadline_,
                      model_.tile_cost.mean());
  }

  void RunUnit(size_t /*unit*/, size_t worker) override {
    reader_.Step(*model_.worker_scratch[worker]);
  }

  void Finish(size_t dropped, size_t /*worker*/) override {
    if (dropped > 0) {
      return done_(absl::DeadlineExceededError(
          "the deadline passed before the state was there"));
    }
    if (!reader_.done()) return Submit();
    if (reader_.status().ok()) Describe();
    done_(reader_.status());
  }

 private:
  void Describe() {
    const UserMemory::Lookup& lookup = reader_.lookup();
    *response_.mutable_state() = DescribeState(lookup);
    response_.set_model_name(model_.name);
    response_.set_model_version(model_.version);
    response_.set_state_fingerprint(model_.engine->state_fingerprint());
    response_.set_state_bytes(lookup.known.state->size_bytes());
    for (const auto& [source, sequence] : lookup.head.watermarks) {
      (*response_.mutable_watermarks())[source] = sequence;
    }
    if (request_.include_state()) {
      response_.set_serialized_state(
          model_.engine->SerializeState(*lookup.known.state));
    }
  }

  const v1::GetUserStateRequest& request_;
  v1::GetUserStateResponse& response_;
  ServedModel& model_;
  TileScheduler& scheduler_;
  const absl::Time now_;
  const absl::Time deadline_;
  StatePipeline::Done done_;
  StateReader reader_;
};

}  // namespace

void StatePipeline::Start(const v1::GetUserStateRequest& request,
                          v1::GetUserStateResponse& response, absl::Time now,
                          absl::Time deadline, Done done) {
  if (absl::Status status = CheckUserId(request.user_id(), limits_);
      !status.ok()) {
    return done(status);
  }
  const absl::StatusOr<ServedModel*> model =
      models_.Resolve(request.model_name(), request.model_version());
  if (!model.ok()) return done(model.status());
  std::make_shared<StateCall>(request, response, **model, scheduler_, now,
                              deadline, std::move(done))
      ->Submit();
}

}  // namespace qlarank
