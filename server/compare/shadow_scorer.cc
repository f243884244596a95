#include "server/compare/shadow_scorer.h"

#include <utility>

#include "absl/time/clock.h"

namespace qlarank {
namespace {

// Between two looks whether requests still wait for a worker.
constexpr absl::Duration kPoll = absl::Milliseconds(1);

}  // namespace

ShadowScorer::ShadowScorer(const Parts& parts)
    : parts_(parts), thread_([this] { Loop(); }) {}

ShadowScorer::~ShadowScorer() {
  stop_.Notify();
  parts_.queue.Stop();
  thread_.join();
}

void ShadowScorer::Loop() {
  while (const ShadowQueue::TaskPtr task = parts_.queue.Take()) {
    const v1::RankResponse& response = task->record.response();
    rested_ = absl::Now();
    LoadedModelPtr model = parts_.models.Current()->Find(response.model_name(),
                                                         task->version);
    const Outcome outcome =
        model == nullptr ? Outcome::kGivenUp : Handle(*task, model);
    parts_.metrics.CountRequest({response.model_name(),
                                 response.model_version(), task->version},
                                OutcomeName(outcome));
    parts_.queue.Done(*task);
    // Of a version that goes nothing is to be left.
    if (outcome == Outcome::kGivenUp || parts_.queue.empty()) {
      rescorer_.reset();
    }
  }
}

bool ShadowScorer::MayGoOn(const LoadedModel& model) {
  const absl::Duration busy = absl::Now() - rested_;
  bool go_on = Sleep(busy * ((1 - kProcessorShare) / kProcessorShare));
  const auto served = [&] {
    return parts_.models.Current()->Find(model.name, model.version).get() ==
           &model;
  };
  while (go_on && served() &&
         parts_.scheduler.backlog() > absl::ZeroDuration()) {
    go_on = Sleep(kPoll);
  }
  rested_ = absl::Now();
  return go_on && served();
}

Outcome ShadowScorer::Handle(const ShadowQueue::Task& task,
                             const LoadedModelPtr& model) {
  if (!rescorer_ || rescorer_->model().id != model->id) {
    rescorer_.emplace(model, parts_.log);
  }
  const auto go_on = [&] { return MayGoOn(*model); };
  if (!go_on()) return Outcome::kGivenUp;
  const v1::LoggedRequest& record = task.record;
  const auto lookup =
      parts_.states.Of(model)->Find(record.request().user_id());
  KnownState state;
  Outcome outcome = rescorer_->BringState(
      record, lookup.ok() ? lookup->known : KnownState(), go_on, state,
      kMostEvents);
  CandidateScores scores;
  if (outcome == Outcome::kCompared) {
    outcome = rescorer_->Score(record, *state.state, go_on, scores);
  }
  if (outcome != Outcome::kCompared) return outcome;
  const ShadowMetrics::Pair pair = {record.response().model_name(),
                                    record.response().model_version(),
                                    task.version};
  const Difference difference =
      Compare(ScoresOf(record), scores, record.request().top_k());
  for (const auto& [name, sums] : difference.by_task) {
    parts_.metrics.Add(pair, name, sums);
  }
  parts_.metrics.Add(pair, difference.candidates);
  return Outcome::kCompared;
}

}  // namespace qlarank
