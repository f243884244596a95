#include "server/pipeline/state_pipeline.h"

#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/pipeline/event_rules.h"
#include "server/pipeline/field_error.h"
#include "server/pipeline/state_reader.h"
#include "server/pipeline/summary_encoding.h"

namespace qlarank {
namespace {

// Writes the response from a state, on a worker and with its scratch.
using Describe =
    absl::AnyInvocable<void(const UserMemory::Lookup&, EngineScratch&)>;

// Reads a state step by step, then describes it.
class StateCall final : public TileJob,
                        public std::enable_shared_from_this<StateCall> {
 public:
  StateCall(ServedModel& model, const std::string& user_id,
            uint64_t min_event_count, TileScheduler& scheduler, absl::Time now,
            absl::Time deadline, Describe describe, StatePipeline::Done done)
      : model_(model),
        scheduler_(scheduler),
        now_(now),
        deadline_(deadline),
        describe_(std::move(describe)),
        done_(std::move(done)),
        reader_(model, user_id,
                {.min_event_count = min_event_count,
                 .max_age = std::nullopt,
                 .time_us = absl::ToUnixMicros(now)}) {}

  void Start() {
    scheduler_.Submit(shared_from_this(), /*num_units=*/0, now_, deadline_,
                      model_.tile_cost.mean());
  }

  Step Prepare(size_t worker) override {
    EngineScratch& scratch = *model_.worker_scratch[worker];
    reader_.Step(scratch);
    if (!reader_.done()) return Step::kAgain;
    if (reader_.status().ok()) describe_(reader_.lookup(), scratch);
    return Step::kEnd;
  }

  void RunUnit(size_t /*unit*/, size_t /*worker*/) override {}

  void Finish(size_t /*dropped*/, size_t /*worker*/) override {
    done_(reader_.done() ? reader_.status()
                         : absl::DeadlineExceededError(
                               "the deadline passed before the state was "
                               "there"));
  }

 private:
  ServedModel& model_;
  TileScheduler& scheduler_;
  const absl::Time now_;
  const absl::Time deadline_;
  Describe describe_;
  StatePipeline::Done done_;
  StateReader reader_;
};

// What both responses say.
template <typename Response>
void Identify(const ServedModel& model, const UserMemory::Lookup& lookup,
              Response& response) {
  *response.mutable_state() = DescribeState(lookup);
  response.set_model_name(model.name);
  response.set_model_version(model.version);
  response.set_state_fingerprint(model.engine->state_fingerprint());
}

void DescribeInto(v1::GetUserStateResponse& response, const ServedModel& model,
                  const UserMemory::Lookup& lookup, bool include_state) {
  Identify(model, lookup, response);
  response.set_state_bytes(lookup.known.state->size_bytes());
  for (const auto& [source, sequence] : lookup.head.watermarks) {
    (*response.mutable_watermarks())[source] = sequence;
  }
  if (include_state) {
    response.set_serialized_state(
        model.engine->SerializeState(*lookup.known.state));
  }
}

}  // namespace

template <typename Request>
absl::StatusOr<ServedModel*> StatePipeline::ModelOf(
    const Request& request) const {
  if (absl::Status status = CheckUserId(request.user_id(), limits_);
      !status.ok()) {
    return status;
  }
  return models_.Resolve(request.model_name(), request.model_version());
}

void StatePipeline::Start(const v1::GetUserStateRequest& request,
                          v1::GetUserStateResponse& response, absl::Time now,
                          absl::Time deadline, Done done) {
  const absl::StatusOr<ServedModel*> found = ModelOf(request);
  if (!found.ok()) return done(found.status());
  ServedModel& model = **found;
  auto describe = [&request, &response, &model](
                      const UserMemory::Lookup& lookup, EngineScratch&) {
    DescribeInto(response, model, lookup, request.include_state());
  };
  std::make_shared<StateCall>(model, request.user_id(),
                              request.min_event_count(), scheduler_, now,
                              deadline, std::move(describe), std::move(done))
      ->Start();
}

void StatePipeline::Start(const v1::GetUserSummaryRequest& request,
                          v1::GetUserSummaryResponse& response, absl::Time now,
                          absl::Time deadline, Done done) {
  const absl::StatusOr<ServedModel*> found = ModelOf(request);
  if (!found.ok()) return done(found.status());
  ServedModel& model = **found;
  if (!v1::SummaryEncoding_IsValid(request.encoding())) {
    return done(FieldError("encoding", static_cast<int>(request.encoding()),
                           "must be a SummaryEncoding"));
  }
  if (model.engine->num_seeds() == 0) {
    return done(absl::FailedPreconditionError(
        absl::StrCat("model ", Quoted(model.name), " version ", model.version,
                     " has no seeds, and so no summaries")));
  }
  auto describe = [&request, &response, &model](
                      const UserMemory::Lookup& lookup,
                      EngineScratch& scratch) {
    Identify(model, lookup, response);
    EncodeSummary(
        *model.memory->Summarize(request.user_id(), lookup.known, scratch),
        model.engine->num_seeds(), request.encoding(), response);
  };
  std::make_shared<StateCall>(model, request.user_id(),
                              request.min_event_count(), scheduler_, now,
                              deadline, std::move(describe), std::move(done))
      ->Start();
}

}  // namespace qlarank
